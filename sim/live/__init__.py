"""The live page: a site of the simulator in a browser, as it happens, with buttons for what may happen at a door.

`watch` tells what happens at a site, `stage` owns the site and plays on it, and `server` brings both to browsers. The
page itself is in `page/`. Nothing here is needed by a site, and no other room of the simulator may import it.
"""
