# For those who freeze the application into a MicroPython build of their own: FROZEN_MANIFEST=<this file>.
require("umqtt.simple")
package("gateway", base_path=".")
