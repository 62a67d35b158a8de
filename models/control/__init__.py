"""The control log: policies, entries of lists and caps, in the order in which they came in force.

All that is in force is a function of the log up to an offset, so all who read it agree.
"""
