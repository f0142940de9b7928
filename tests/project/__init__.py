"""The project as a whole: who may import whom, what the documents promise, and a test for each rule of the door."""
