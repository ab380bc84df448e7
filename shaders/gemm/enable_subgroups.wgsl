// Goes first: lets the files after it use subgroup operations.
enable subgroups;
