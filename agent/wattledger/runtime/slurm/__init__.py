"""What Slurm says of its jobs, and what it is told of them: its commands, their words, and the books beside them.

``commands`` runs sacct, squeue, scontrol and sacctmgr; ``sacct`` and ``nodelist`` read what they say; ``live`` asks the agents of a
job's nodes, ``comment`` puts it in a line; ``joined`` lays jobs beside the books, ``kept`` makes facts of them.
"""
