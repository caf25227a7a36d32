"""How true a decoded sound is to another, block by block: where it is worse at joints than elsewhere, they can be heard.

    ratios = snr_db(reference, heard, 1024)          # decibels of each block
    joints_are_no_worse(ratios, {234, 235})          # their numbers
"""
import math
import operator


def snr_db(reference, heard, block):
    """`heard` is `reference` with one gain for all of it, and what coding did to it."""
    gain = sum(map(operator.mul, reference, heard)) / sum(map(operator.mul, reference, reference))
    found = []
    for at in range(0, min(len(reference), len(heard)) - block + 1, block):
        wanted = [gain * v for v in reference[at:at + block]]
        noise = list(map(operator.sub, heard[at:at + block], wanted))
        powers = [sum(map(operator.mul, values, values)) + 1e-9 for values in (wanted, noise)]
        found.append(10 * math.log10(powers[0] / powers[1]))
    return found


def joints_are_no_worse(ratios, joints):
    """None is below what happens elsewhere, and their mean is that of all others within two decibels."""
    there = [ratios[at] for at in sorted(joints)]
    elsewhere = sorted(ratio for at, ratio in enumerate(ratios) if at not in joints)
    least = elsewhere[len(elsewhere) // 1000]
    means = [sum(values) / len(values) for values in (there, elsewhere)]
    said = f'joints: {min(there):.1f} dB, mean {means[0]:.1f}; elsewhere {least:.1f}, mean {means[1]:.1f}'
    assert min(there) >= least and means[0] > means[1] - 2, said
