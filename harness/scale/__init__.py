"""A model of scale: what a restore costs per record, and how long it takes on other hardware.

``measure`` measures the costs at two small sizes on a real server, ``costs`` holds them, ``work``
makes the tasks of a restore of any size from them, ``simulate`` runs these on described hardware,
``predict`` says what bounds it, ``checks`` compares predictions with recorded runs.
"""
