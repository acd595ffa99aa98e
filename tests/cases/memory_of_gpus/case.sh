# What NCCL takes has a line of its own, where ranks talk through it; so has what the host keeps.
expect 0 memory 7b --set train.device=cuda
never_says 'NCCL'
expect 0 memory 7b --ranks 8 --set train.device=cuda
says "NCCL's buffers +768.0 MiB"
never_says 'neighbour'
expect 0 memory 7b --ranks 8 --set train.device=cuda --set dist.tensor=2 --set dist.neighbour_every=10
says "NCCL's buffers +1\.5 GiB"
says 'GiB of copies in the nodes. memory'
expect 0 memory 7b --ranks 8 --set train.device=cuda --json
says '"NCCL.s buffers": 805306368'
