"""What a launch does first: the window is painted before anything heavy begins."""

from PySide6.QtCore import QEvent, QObject


class Order(QObject):
    def __init__(self, said):
        super().__init__()
        self.said = said

    def eventFilter(self, watched, event):
        if event.type() == QEvent.Type.Paint:
            self.said.append("painted")
        return False


def test_the_first_run_begins_once_the_window_has_been_painted(make_session, wait):
    said = []
    session = make_session(autorun=True, shown=False)
    order = Order(said)
    session.window.denoising.left.view.installEventFilter(order)
    session.controller.activityChanged.connect(lambda activity: said.append("begun"))
    assert session.controller.run is None
    session.show()
    wait(lambda: session.controller.run is not None and not session.controller.activity.busy)
    assert said.index("painted") < said.index("begun")
