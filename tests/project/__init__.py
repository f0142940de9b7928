"""Tests of the project as a whole: imports between the rooms, the documents, and the test of each rule of the door."""
