"""Android phones over ADB: through a running adb server, or directly over TCP or USB."""
