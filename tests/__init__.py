"""A package, so that no installed package of this name (bitcoinlib brings one) is taken for these tests."""
