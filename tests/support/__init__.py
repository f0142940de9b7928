"""What tests share: fakes that speak the real protocols, worlds of several processes, time by hand."""
