namespace ev {}
