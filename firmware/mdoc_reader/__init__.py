"""Reading a mobile document over either radio: what is asked for, the session, and the decrypted answer."""
