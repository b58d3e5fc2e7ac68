"""The wire, sans-I/O: one set of rules for server and client. SPEC.md beside this file has the tables of
fields.

Nothing is imported here: take what is needed from `codec`, `messages`, `connection`, `content`, `codes`,
`limits`.
"""
