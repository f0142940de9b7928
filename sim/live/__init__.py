"""The live page shows in a browser what happens at a site of the simulator. Its buttons make things happen at a door.

`watch` tells what happens at a site, `stage` owns the site and plays stories, and `server` serves browsers. The page
itself is in `page/`. Nothing here is needed by a site, and no other room of the simulator may import it.
"""
