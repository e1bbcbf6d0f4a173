"""Power of a two-sample test for a stated effect, and the smallest p-value that it can have."""

import math

from graphtask.inference.effects import noncentral_t_cdf
from graphtask.inference.permutations import Permutations

LEVEL = 0.05
STATED_EFFECT = 1.0  # standard deviations between the means
_WANTED = 0.8  # power at which an effect counts as detectable
_LARGEST = 20.0


def power(permutations: Permutations, effect: float = STATED_EFFECT, *, level: float = LEVEL) -> float:
    """Return the probability of p ≤ level if the means of one normal feature differ by ``effect`` standard deviations.

    The power of the two-sided t test, which a permutation test of means approaches; 0 if the number of permutations
    does not allow any p-value of at most ``level``. A guide: a test of many features has less power for an effect in
    one of them, and more for effects in several.

    Args:
        permutations: Sizes of the sets, and the number of permutations.
        effect: Difference of the means in standard deviations (paired: of the differences).
        level: Level of the test.

    Example:
        >>> from graphtask.inference.permutations import permutations_of
        >>> found = permutations_of(10, 10, paired=False, n_permutations=9_999, seed=0)
        >>> round(power(found, 1.0), 2)
        0.56

    Source:
        Cohen, Statistical power analysis for the behavioral sciences (1988), chapter 2.
    """
    if permutations.least_p > level:
        return 0.0
    n_a, n_b = permutations.n_a, permutations.n_b
    if permutations.paired:
        freedom, weight = n_a - 1, math.sqrt(n_a)
    else:
        freedom, weight = n_a + n_b - 2, math.sqrt(n_a * n_b / (n_a + n_b))
    from scipy.stats import t as student

    critical = float(student.isf(level / 2, freedom))
    shift = effect * weight
    return 1 - noncentral_t_cdf(critical, freedom, shift) + noncentral_t_cdf(-critical, freedom, shift)


def detectable_effect(permutations: Permutations, *, level: float = LEVEL) -> float:
    """Return the effect (see `power`) that is detected with probability 0.8; infinite if none is.

    Example:
        >>> from graphtask.inference.permutations import permutations_of
        >>> ten = permutations_of(10, 10, paired=False, n_permutations=9_999, seed=0)
        >>> two = permutations_of(2, 2, paired=False, n_permutations=9_999, seed=0)
        >>> round(detectable_effect(ten), 2), detectable_effect(two)
        (1.32, inf)
    """
    from scipy.optimize import brentq

    if power(permutations, _LARGEST, level=level) < _WANTED:
        return math.inf
    return float(
        brentq(lambda effect: power(permutations, effect, level=level) - _WANTED, 0.0, _LARGEST, xtol=1e-6)
    )
