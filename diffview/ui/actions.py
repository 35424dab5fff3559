"""Every command of the window, once: the menus, the keys, the palette and the help list them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Command:
    """A command: its name, its menu, its text, its keys, and what it does."""

    name: str
    menu: str
    text: str
    keys: tuple[str, ...] = ()
    help: str = ""
    checkable: bool = False


COMMANDS = (
    Command(
        "open", "File", "Open…", ("Ctrl+O",), "Open a model, a saved run, or an exported file"
    ),
    Command(
        "open_folder",
        "File",
        "Open folder…",
        ("Ctrl+Shift+O",),
        "Open a model's folder, a folder of pictures, or an export",
    ),
    Command(
        "fetch",
        "File",
        "Fetch from the hub…",
        (),
        "Look up a model of the Hugging Face hub by its id, and fetch it",
    ),
    Command("save", "File", "Save session…", ("Ctrl+S",), "Keep this run as a file"),
    Command(
        "export", "File", "Export…", ("Ctrl+E",), "Write pictures, an animation, or the numbers"
    ),
    Command("quit", "File", "Quit", ("Ctrl+Q",), "Close the window"),
    Command("undo", "Edit", "Undo setting", ("Ctrl+Z",), "Take back the last change of settings"),
    Command("redo", "Edit", "Redo setting", ("Ctrl+Shift+Z",), "Make the change again"),
    Command("copy", "Edit", "Copy picture", ("Ctrl+C",), "Copy what both panes show"),
    Command("preferences", "Edit", "Preferences…", ("Ctrl+,",), "Theme, memory, start-up"),
    Command("theme", "View", "Light or dark", ("Ctrl+T",), "Switch between light and dark"),
    Command("reset_zoom", "View", "Reset zoom", ("0",), "Show all of every picture"),
    Command(
        "focus", "View", "One sample or all", ("F",), "Show the selected sample alone, or all"
    ),
    Command("fullscreen", "View", "Full screen", ("F11",), "Fill the screen, or not"),
    Command("palette", "View", "Command palette…", ("Ctrl+K",), "Find a command by name"),
    Command("run", "Run", "Run", ("Ctrl+Return", "Ctrl+Enter"), "Sample as chosen"),
    Command("stop", "Run", "Stop", ("Esc",), "Stop sampling; the steps so far stay"),
    Command(
        "resume", "Run", "Resume", ("Ctrl+R",), "Go on with a run that was stopped, bit for bit"
    ),
    Command(
        "branch", "Run", "Branch here", ("Ctrl+B",), "From this step on with what is chosen now"
    ),
    Command(
        "edit_state",
        "Run",
        "Branch with another x_t…",
        ("Ctrl+Shift+B",),
        "From this step on with new noise, or a state from a file",
    ),
    Command(
        "complete",
        "Run",
        "Complete several times",
        ("Ctrl+M",),
        "Several ends of the selected sample's x_t, each with other noise",
    ),
    Command(
        "invert",
        "Run",
        "Invert a picture…",
        ("Ctrl+I",),
        "Follow a picture up to the x_T that leads back to it",
    ),
    Command("parent", "Run", "Parent run", ("Alt+Up",), "Show the run that this branch left"),
    Command("play", "Run", "Play or pause", ("Space",), "Go through the steps by themselves"),
    Command("previous", "Run", "Previous step", ("Left",), "One step towards the noise"),
    Command("next", "Run", "Next step", ("Right",), "One step towards the picture"),
    Command("previous_ten", "Run", "Ten steps back", ("Shift+Left",), "Ten steps to the noise"),
    Command("next_ten", "Run", "Ten steps on", ("Shift+Right",), "Ten steps to the picture"),
    Command("first", "Run", "To the noise", ("Home",), "The first step"),
    Command("last", "Run", "To the picture", ("End",), "The last step"),
    Command("less_guidance", "Run", "Less guidance", ("[",), "γ down by 0.25"),
    Command("more_guidance", "Run", "More guidance", ("]",), "γ up by 0.25"),
    Command(
        "lessons", "Lessons", "Lessons", ("F2",), "Short lessons that set the window up, or close"
    ),
    Command("lesson_before", "Lessons", "Lesson before", (), "Turn one lesson back"),
    Command("lesson_after", "Lessons", "Next lesson", (), "Turn to the next lesson"),
    Command("help", "Help", "Keys and help", ("F1",), "What there is, and its keys"),
    Command("about", "Help", "About diffview", (), "Version, licences, folders"),
)
"""In the order of the menus."""

MENUS = ("File", "Edit", "View", "Run", "Lessons", "Help")
