"""What the panes of the forward process show, and what they say where there is nothing."""

from __future__ import annotations

from diffview.frames import noising as pictures
from diffview.ui.panels.picture_chooser import OF_EMOJI, OF_FILE, OF_RUN
from diffview.ui.panels.picture_pane import Subject

X_0 = Subject("x0", r"x_{0}", "Picture", "x₀, the picture that is noised")
X_T = Subject("xt", r"\c{xt}{x_{t}}", "State", "x_t = α x₀ + σ ε at this t", "x_t")
ESTIMATES = (
    Subject("x0hat", r"\c{x0hat}{\hat{x}_{0}}", "Estimate",
            "x̂₀, the one-step estimate of the chosen model, under the chosen class and γ",
            "x0_hat"),
    Subject(pictures.ERROR, r"\c{diff}{\hat{x}_{0} - x_{0}}", "Error",
            "x̂₀ − x₀: blue below zero, amber above", "difference"),
    Subject("eps", r"\c{eps}{\hat{\epsilon}}", "Noise", "ε̂, the noise that goes with the "
            "estimate; drawn from −3 to 3", "eps"),
)  # fmt: skip
LABELS = {"x0hat": "x̂₀", pictures.ERROR: "x̂₀ − x₀", "eps": "ε̂"}
LACKS = {
    OF_RUN: "Run the model, choose an emoji above, or drop a picture here",
    OF_EMOJI: "Choose an emoji above",
    OF_FILE: "This picture could not be read",
}
