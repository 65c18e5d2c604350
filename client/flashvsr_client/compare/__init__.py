"""How near one video is to another, frame by frame: what `flashvsr compare`, the demo and our tables measure with."""
