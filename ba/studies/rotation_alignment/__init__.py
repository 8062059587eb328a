"""Rotation alignment: the rotation R between two point sets that minimizes sum |p1 - R p2|^2.

The smallest problem on which parameterizations differ, with a closed form to check them against. `ba run` of a file
with `kind: rotation_alignment` runs it; from Python: `ba.studies.rotation_alignment.run.run(path)`.

config   the YAML schema            problem  the cost, the closed form, angles
data     point sets from files      solve    each start, by a backend of bundle adjustment
lab      what is measured           stress   starts where parameterizations are weak
run      the run folder             table, picture: what it shows
"""
