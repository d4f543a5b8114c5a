"""Many clips: a folder recognised in several processes, as tables and as annotations; a run that was cut goes on."""
