"""Code that tests share: fakes that speak the real protocols, worlds of several processes, clocks that tests move."""
