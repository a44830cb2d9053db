"""What a site file may say: the form of its blocks, and what each filter and derived quantity becomes on the device."""
