"""Lessons: pages of text with formulas, questions, and set-ups that arrange the window; no Qt.

A lesson is a Markdown file with a front matter, in the resources or in a lecturer's own folder:

    ---
    title: One-step denoising
    ---
    At every step the network says where it thinks the way ends: $\\hat{x}_{0}$.

    ```setup Half-way
    model: fashion
    label: Sneaker
    step: 25
    ```

    ```question
    Is the estimate sharper than the state?
    ---
    Yes: here $\\sigma_{t}$ is [0.70](value:sigma).
    ```

lesson.py reads it, setup.py says which run a set-up asks for, and readouts.py measures the numbers
that a text states as `[number](value:readout)`, of the run of the set-up above them.
"""
