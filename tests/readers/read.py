#!/usr/bin/env python3
"""Reads a backup with a reader by others and prints what it finds.

    read.py READER BACKUP [PASSWORD_FILE]

READER is iphone_backup_decrypt (encrypted backups with a Manifest.db) or pyiosbackup. A line for
each regular file:

    domain TAB path TAB sha256 TAB size

Both readers write a decrypted catalog into the folder for temporary files and may leave it
there: whoever starts this gives them a folder of their own (TMPDIR).
"""

import hashlib
import sys


def by_iphone_backup_decrypt(folder, password):
    from iphone_backup_decrypt import EncryptedBackup

    backup = EncryptedBackup(backup_directory=folder, passphrase=password)
    with backup.manifest_db_cursor() as cursor:
        cursor.execute("SELECT fileID, domain, relativePath, file FROM Files WHERE flags = 1")
        rows = cursor.fetchall()
    for file_id, domain, path, row in rows:
        # The one call that takes a row: those that take names cannot tell `_` from any letter.
        yield domain, path, backup._decrypt_inner_file(file_id=file_id, file_bplist=row)


def by_pyiosbackup(folder, password):
    from pyiosbackup import Backup

    for entry in Backup.from_path(folder, password).iter_files():
        yield entry.domain, entry.relative_path, entry.read_bytes()


READERS = {
    "iphone_backup_decrypt": by_iphone_backup_decrypt,
    "pyiosbackup": by_pyiosbackup,
}


def main(reader, folder, password_file=None):
    password = ""
    if password_file is not None:
        with open(password_file, encoding="utf-8") as file:
            password = file.read().rstrip("\n")
    out = sys.stdout.buffer
    # The first reader prints notes of its own; they are not what was asked for.
    sys.stdout = sys.stderr
    for domain, path, content in READERS[reader](folder, password):
        line = "\t".join([domain, path, hashlib.sha256(content).hexdigest(), str(len(content))])
        if line.count("\t") != 3 or "\n" in line:
            raise ValueError(f"a name that no line can hold: {domain!r} {path!r}")
        out.write(line.encode("utf-8", "surrogateescape") + b"\n")


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4) or sys.argv[1] not in READERS:
        sys.exit(__doc__)
    main(*sys.argv[1:])
