"""Opening, saving and exporting: the dialogs, and the jobs of the file thread."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

from PySide6.QtCore import QObject, Qt, Signal, Slot
from PySide6.QtWidgets import QFileDialog, QMessageBox, QWidget

from diffview import places
from diffview.engine.session import SESSION_SUFFIX
from diffview.engine.trajectory import Trajectory
from diffview.exporters import job
from diffview.exporters.job import Progress
from diffview.exporters.recipe import Recipe
from diffview.lessons.lesson import Lesson
from diffview.ui import jobs, opening, state
from diffview.ui.controller import Controller
from diffview.ui.export_dialog import ExportDialog, ExportRequest
from diffview.ui.guide_source import GuideSource
from diffview.ui.jobs import ModelSource
from diffview.ui.notices import notice_of
from diffview.ui.opening import Offered, OpenedPoints, PickleFile, PictureFile
from diffview.ui.settings import Settings
from diffview.ui.state import Notice
from diffview.ui.workers import JobRunner

FILTER = (
    "All that diffview opens "
    "(*.dvsession *.safetensors *.ckpt *.pt *.pth *.bin *.png *.apng *.gif *.webp *.mp4 *.json "
    "*.jpg *.jpeg *.bmp *.tif *.tiff *.md *.csv *.npy);;All files (*)"
)
GIVEN_NOISE = "That run began with noise that is not in this file: open its .dvsession instead."
BRANCHED = "That run left another one on its way: open its .dvsession instead."


class Files(QObject):
    """One job at a time in its own thread, so that an export never waits for a sampler."""

    noticed = Signal(object)
    begunAnew = Signal(str)
    """A topic of notices that is over."""
    pictureOpened = Signal(object)
    """The path of a picture that carries no recipe."""
    lessonOpened = Signal(object)
    pointsOpened = Signal()

    def __init__(
        self, controller: Controller, runner: JobRunner, settings: Settings, window: QWidget
    ) -> None:
        super().__init__(window)
        self._controller, self._runner, self._settings = controller, runner, settings
        self._window = window
        self._dialog: ExportDialog | None = None
        self._about: dict[str, Any] = {}
        self._opening: dict[int, Path] = {}
        self._saving: dict[int, tuple[Path, Trajectory]] = {}
        self.saved: Trajectory | None = None
        """The run that was saved or opened last."""
        self._exporting: dict[int, ExportRequest] = {}
        runner.progressed.connect(self._on_progressed)
        runner.finished.connect(self._on_finished)
        runner.failed.connect(self._on_failed)
        runner.stopped.connect(self._on_stopped)

    # -- open ---------------------------------------------------------------------------------

    @Slot()
    def ask_open(self) -> None:
        """Ask for a file and open it."""
        folder = self._settings.get("open_folder", _home())
        name, _ = QFileDialog.getOpenFileName(self._window, "Open", folder, FILTER)
        if name:
            self._settings.save(open_folder=str(Path(name).parent))
            self.open(Path(name))

    @Slot()
    def ask_open_folder(self) -> None:
        """Ask for a folder and open it."""
        folder = self._settings.get("open_folder", _home())
        name = QFileDialog.getExistingDirectory(self._window, "Open a folder", folder)
        if name:
            self._settings.save(open_folder=str(Path(name).parent))
            self.open(Path(name))

    def open(self, path: Path) -> None:
        """Open a saved run, an exported file with a recipe, a model, or a picture."""
        self._open_by(path, lambda: opening.open_file(path))

    def _open_by(self, path: Path, make: Callable[[], Iterator[Any]]) -> None:
        self.begunAnew.emit("open")
        self._opening[self._runner.submit(make)] = path

    def _ask_convert(self, found: PickleFile) -> None:
        """A pickle is not opened as it is: ask whether to make another file of it."""
        what, made = found.words()
        question = QMessageBox(self._window)
        question.setObjectName("convertQuestion")
        question.setWindowTitle("Convert the model?")
        question.setText(f"{found.path.name} {what}, which could run code.")
        question.setInformativeText(
            f"diffview runs none of it: it can read the tensors alone, and write them as {made}."
        )
        question.addButton("Convert", QMessageBox.ButtonRole.AcceptRole)
        question.addButton(QMessageBox.StandardButton.Cancel)
        question.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        question.accepted.connect(lambda: self._convert(found.path))
        question.open()

    def _convert(self, path: Path) -> None:
        self._open_by(path, lambda: opening.converted(path))
        self.noticed.emit(Notice(f"Reading the tensors of {path.name}…", topic="open"))

    def _take(self, opened: object) -> None:
        if isinstance(opened, ModelSource):
            self._controller.add_source(opened)
            if opened.card.family == "pictures":  # what was done to them, and what they take
                self.noticed.emit(Notice(opened.card.description))
        elif isinstance(opened, OpenedPoints):
            self._controller.add_source(opened.source)
            self.noticed.emit(Notice(opened.told, topic="open"))
            self.pointsOpened.emit()
        elif isinstance(opened, Offered):
            self._controller.offer(opened.source)
        elif isinstance(opened, PickleFile):
            self._ask_convert(opened)
        elif isinstance(opened, GuideSource):
            self._controller.add_guide(opened)
        elif isinstance(opened, Recipe):
            self._take_recipe(opened)
        elif isinstance(opened, PictureFile):
            self.pictureOpened.emit(opened.path)
        elif isinstance(opened, Lesson):
            self.lessonOpened.emit(opened)
        else:
            self._take_run(*cast(tuple[Trajectory, dict[str, Any]], opened))

    def _take_run(self, run: Trajectory, about: dict[str, Any]) -> None:
        problem = self._controller.restore(state.from_spec(run.spec), about, run.spec.origin)
        self.saved = run
        self._controller.show_run(run, about)
        if problem:
            text = f"{problem} Its frames are shown all the same."
            self.noticed.emit(Notice(text, "warning", topic="open"))

    def _take_recipe(self, recipe: Recipe) -> None:
        problem = self._controller.restore(state.from_spec(recipe.spec), dict(recipe.about))
        if problem:
            self.noticed.emit(Notice(problem, "warning", topic="open"))
        if self._controller.choices != state.from_spec(recipe.spec):
            return
        if recipe.about.get("init_noise") == "given":
            self.noticed.emit(Notice(GIVEN_NOISE, "warning", topic="open"))
            return
        if recipe.spec.origin is not None:
            self.noticed.emit(Notice(BRANCHED, "warning", topic="open"))
            return
        self._controller.request_run(show_step=recipe.step)

    # -- save ---------------------------------------------------------------------------------

    @Slot()
    def ask_save(self) -> None:
        """Ask for a name and save the shown run."""
        run = self._controller.run
        if run is None or not len(run):
            self.noticed.emit(Notice("There is no run to save yet.", "warning"))
            return
        folder = Path(self._settings.get("save_folder", _home()))
        proposed = str(folder / f"{_name_of(run)}.dvsession")
        name, _ = QFileDialog.getSaveFileName(
            self._window, "Save session", proposed, "Runs (*.dvsession)"
        )
        if name:
            path = as_session(Path(name))
            self._settings.save(save_folder=str(path.parent))
            self.save(run, path)

    def save(self, run: Trajectory, path: Path) -> None:
        """Save `run` as a session."""
        about = self._controller.about
        job_id = self._runner.submit(lambda: jobs.save_session(run, path, about))
        self._saving[job_id] = path, run

    # -- export -------------------------------------------------------------------------------

    @Slot()
    def ask_export(self) -> None:
        """Open the export dialog on the shown run."""
        run = self._controller.run
        if run is None or not len(run):
            self.noticed.emit(Notice("There is nothing to export yet.", "warning"))
            return
        folder = Path(self._settings.get("export_folder", _home()))
        target = fresh(folder / f"diffview-{_name_of(run)}")
        lens = self._controller.decoding.quick
        dialog = ExportDialog(run, self._controller.look, target, self._window, lens)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.exportRequested.connect(self._on_export_requested)
        dialog.cancelRequested.connect(self._on_cancel_requested)
        dialog.finished.connect(self._on_dialog_closed)
        self._dialog, self._about = dialog, self._controller.about
        dialog.open()

    @Slot(object)
    def _on_export_requested(self, request: ExportRequest) -> None:
        if self._dialog is None:
            return
        run, about = self._dialog.run_shown, self._about
        self._settings.save(export_folder=str(request.folder.parent))

        source = self._controller.decoding.source

        def make() -> Iterator[Progress]:
            lens = None if source is None else source.decoder()
            return job.export(
                run,
                about,
                request.folder,
                request.formats,
                request.selection,
                fps=request.fps,
                hold=request.hold,
                options=request.options,
                overwrite=request.overwrite,
                lens=lens,
            )

        self._exporting[self._runner.submit(make)] = request

    @Slot()
    def _on_cancel_requested(self) -> None:
        for job_id in self._exporting:
            self._runner.cancel(job_id)

    @Slot()
    def _on_dialog_closed(self) -> None:
        self._dialog = None
        self._window.activateWindow()

    def _export_ended(self, notice: Notice) -> None:
        if self._dialog is not None:
            self._dialog.show_end(notice.text)
        else:
            self.noticed.emit(notice)

    def losses(self) -> list[str]:
        """What closing now would leave undone, in words."""
        exports = [f"The export to {r.folder} is not done." for r in self._exporting.values()]
        return exports + [f"{path} is not written yet." for path, _ in self._saving.values()]

    # -- jobs ---------------------------------------------------------------------------------

    @Slot(int, object)
    def _on_progressed(self, job_id: int, item: object) -> None:
        if job_id in self._opening:
            self._take(item)
        elif isinstance(item, Progress) and self._dialog is not None:
            self._dialog.show_progress(item)

    @Slot(int)
    def _on_finished(self, job_id: int) -> None:
        self._opening.pop(job_id, None)
        if job_id in self._saving:
            path, self.saved = self._saving.pop(job_id)
            self.noticed.emit(Notice(f"Saved {path}"))
        if job_id in self._exporting:
            folder = self._exporting.pop(job_id).folder
            files = sum(1 for _ in folder.iterdir())
            self._export_ended(Notice(f"Done: {files} files are in {folder}"))

    @Slot(int, object)
    def _on_failed(self, job_id: int, error: BaseException) -> None:
        opened = self._opening.pop(job_id, None)
        self._saving.pop(job_id, None)
        if self._exporting.pop(job_id, None) is not None:
            self._export_ended(notice_of(error))
        elif opened is not None:
            self.noticed.emit(notice_of(error, "open", opened.name))
        else:
            self.noticed.emit(notice_of(error))

    @Slot(int)
    def _on_stopped(self, job_id: int) -> None:
        self._opening.pop(job_id, None)
        self._saving.pop(job_id, None)
        if self._exporting.pop(job_id, None) is not None:
            self._export_ended(Notice("The export was stopped; nothing is left of it."))


def _home() -> str:
    return str(places.home() or Path.cwd())


def _name_of(run: Trajectory) -> str:
    spec = run.spec
    return f"{spec.model_id}-{spec.sampler}-{spec.n_steps}"


def as_session(path: Path) -> Path:
    """`path` with the ending of a session; one that this makes replaces no other file."""
    if path.suffix == SESSION_SUFFIX:
        return path
    numbered = (
        f"{path.name}{k}{SESSION_SUFFIX}" for k in ("", *(f"-{k}" for k in range(2, 10**4)))
    )
    return next(one for one in map(path.with_name, numbered) if not one.exists())


def fresh(path: Path) -> Path:
    """`path`, or the first numbered name beside it that does not exist."""
    numbered = (path.with_name(f"{path.name}-{k}") for k in range(2, 10_000))
    return next((one for one in (path, *numbered) if not one.exists()), path)
