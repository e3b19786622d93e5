"""What people would use in place of ``restore``, each set up as its own experts would.

A peer is a folder:

    peer.toml             what it is, needs and is known not to do, and how its engines are called
    requirements.txt      the Python packages of its environment, with hashes
    package.json          the packages of Node.js, in place of that; with package-lock.json
    load.py, tuned.py     the programs that its engines run

``python -m harness peers --install`` makes the environments.
"""
