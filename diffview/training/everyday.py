"""The emoji of everyday things: a small model is shown these more often, and draws them better."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from diffview.datasets.emoji import Emoji

EVERYDAY = frozenset(
    name
    for line in """
    grapes, melon, watermelon, tangerine, lemon, banana, pineapple, mango, red apple, green apple
    pear, peach, cherries, strawberry, blueberries, tomato, coconut, avocado, eggplant, potato
    carrot, hot pepper, cucumber, broccoli, garlic, onion, bread, croissant, pretzel, pancakes
    waffle, cheese wedge, hamburger, french fries, pizza, hot dog, sandwich, taco, egg, popcorn
    sushi, ice cream, doughnut, cookie, birthday cake, cupcake, pie, chocolate bar, candy
    lollipop, hot beverage, wine glass, beer mug
    cat face, dog face, lion, tiger face, horse face, unicorn, cow face, pig face, mouse face
    rabbit face, bear, polar bear, koala, panda, frog, monkey face, fox, wolf, elephant, chicken
    penguin, bird, owl, duck, baby chick, turtle, snail, snake, spouting whale, whale, dolphin
    fish, tropical fish, shark, octopus, crab, butterfly, bug, honeybee, lady beetle, spider
    rose, tulip, sunflower, blossom, cactus, palm tree, deciduous tree, evergreen tree, mushroom
    four leaf clover, maple leaf
    grinning face, winking face, crying face, loudly crying face, angry face, sleeping face
    thinking face, smiling face with heart-eyes, smiling face with sunglasses, face with tongue
    neutral face, astonished face, frowning face, nauseated face, clown face, skull, ghost, alien
    robot, red heart, orange heart, yellow heart, green heart, blue heart, purple heart
    black heart, white heart, broken heart
    house, castle, tent, mountain, volcano, locomotive, bus, taxi, automobile, fire engine
    police car, tractor, bicycle, sailboat, ship, airplane, helicopter, rocket, flying saucer
    hourglass done, watch, alarm clock, full moon, crescent moon, sun, star, glowing star, cloud
    rainbow, umbrella, snowflake, snowman, fire, droplet, water wave
    Christmas tree, jack-o-lantern, balloon, wrapped gift, trophy, soccer ball, basketball
    tennis, crystal ball, teddy bear, artist palette
    glasses, t-shirt, jeans, dress, crown, top hat, ring, gem stone, bell, guitar, trumpet, violin
    drum, mobile phone, laptop, television, camera, light bulb, green book, blue book, orange book
    money bag, envelope, pencil, scissors, key, hammer, bomb, magnet, door, chair
    """.strip().splitlines()
    for name in line.strip().split(", ")
)

SHARE = 0.75
"""How much of what is shown are everyday things."""


def one_round(emoji: Sequence[Emoji]) -> Tensor:
    """Indices (N,) into `emoji`, for one round: each once, everyday ones as often as SHARE asks.

    Each once where there are not both kinds.
    """
    everyday = torch.tensor([one.name in EVERYDAY for one in emoji])
    count = int(everyday.sum())
    others = len(emoji) - count
    times = max(1, round(others / max(1, count) * SHARE / (1 - SHARE)))
    return torch.arange(len(emoji)).repeat_interleave(torch.where(everyday, times, 1))
