"""A film over the nodes of a Ray cluster; needs the extra `flashvsr-client[ray]`.

options.py        what a user may say
connecting.py     finding a cluster
connection.py     the cluster as this package sees it: nodes, actors, calls; these two alone know ray
watch.py          whether the cluster is still there
placement.py      how many engines, and what each asks of a node
versions.py       whether the nodes have what the driver has
fleet.py          the engines of a cluster as a fleet
    worker.py     one segment on one of them, into the job's folder
    delivery.py   how a film comes to a node: read in place, fetched from its address, or sent
engine_actor.py   on a node: an engine that stays loaded
node_actor.py     on a node: the films and folders that are there
orphan.py         on a node: actors that end when their raylet does
scratch.py        on a node: folders that go when their process does
"""
