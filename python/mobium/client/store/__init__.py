"""The profile's encrypted store: `database` runs transactions, and each other module owns the rows of one
subject.

Not its concern: what is decided with the rows; the engine's modules do that, inside transaction functions.
"""
