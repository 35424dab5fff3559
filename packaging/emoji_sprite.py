"""Make resources/pictures/emoji.webp and emoji.json: the 3-D emoji that ship with diffview.

    python packaging/emoji_sprite.py [FOLDER of the npm packages]

The pictures lie in reading order on one sheet; the JSON file tells each one's name, keywords and
group, and whether the tokenizers were kept from it in training.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from diffview.datasets.emoji import SIZE, emoji_pictures

COLUMNS = 35
QUALITY = 90
OUT = Path(__file__).parents[1] / "resources" / "pictures"


def main() -> None:
    """Write both files."""
    data = emoji_pictures(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
    data = data.where((data.styles == 0) & np.array([one.plain for one in data.emoji]))
    rows = -(-len(data) // COLUMNS)
    sheet = np.full((rows * SIZE, COLUMNS * SIZE, 3), 255, np.uint8)
    for k, picture in enumerate(data.pictures):
        top, left = k // COLUMNS * SIZE, k % COLUMNS * SIZE
        sheet[top : top + SIZE, left : left + SIZE] = picture.transpose(1, 2, 0)
    OUT.mkdir(parents=True, exist_ok=True)
    Image.fromarray(sheet).save(OUT / "emoji.webp", quality=QUALITY, method=6)
    told = [
        {
            "name": one.name,
            "keywords": list(one.keywords),
            "group": one.group,
            "held_out": one.held_out,
        }
        for one in data.emoji
    ]
    text = json.dumps({"size": SIZE, "columns": COLUMNS, "emoji": told}, ensure_ascii=False)
    (OUT / "emoji.json").write_text(text.replace('{"name"', '\n{"name"') + "\n", "utf-8")
    print(f"{len(data)} emoji, {(OUT / 'emoji.webp').stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
