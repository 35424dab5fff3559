"""Models without weights: what a network would say if it had learned its data without error.

Where the data are known, E[x_0 | x_t], the score and log p(x_t) are known too, at every level:
`mixture` for distributions of points, `pictures` for a finite set of pictures. Beside them: fields
on a grid, densities raised to powers as guidance means them, and the partition function.
"""
