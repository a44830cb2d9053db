"""Numbers of the calls between the VM's board modules and the host; both ends import this file."""

HELLO = 0  # -> JSON: how this board was born (costs, traits, reset cause, seed)
WAIT = 1  # arg: microseconds; ends early when a pin interrupt is due
POLL = 2  # arg: microseconds or FOREVER; data: pairs <HH (handle, events); -> pairs of what is ready
IRQ_TAKE = 3  # -> one byte a pin: the interrupts that are due
RESET = 4  # arg: 0 hard, 1 soft, 2 deep sleep (data <Q: microseconds, empty: for ever); never answers
IDLE = 5  # main.py ended: nothing left to run but the prompt; -> its source
IRQ_DONE = 6  # posted; the handlers of those interrupts have run
CONSOLE_READ = 7  # arg: 1 in the raw mode of the prompt; waits for what was typed: up to a key that may end a command
NO_MEMORY = 8  # the VM's heap is so full that an answer could not be read; wants no answer
KBD_INTR = 9  # arg: the key that interrupts from now on, FOREVER: none does

PIN_MODE = 10  # posted; arg: gpio; data <BB: direction, pull
PIN_SET = 11  # posted; arg: gpio << 1 | level
PIN_GET = 12  # arg: gpio
PIN_IRQ = 13  # arg: gpio << 2 | trigger bits (1 rising, 2 falling, 0 off)
ADC_READ = 14  # arg: gpio; -> microvolts at the pin; <I: for how many microseconds they hold
COUNTER_ON = 15  # arg: gpio; data <BB: edge, unit
COUNTER_VALUE = 16  # arg: unit; data <q when it is set; -> <q

UART_INIT = 20  # arg: number; data <IBBBhhH: baud, bits, parity (0 none 1 even 2 odd), stop, tx, rx, rxbuf
UART_WRITE = 21  # posted; arg: number
UART_ANY = 22
UART_READ = 23  # arg: number << 16 | limit; result 0: nothing is left or on its way

RTC_SET = 30  # data <q: RTC microseconds since 2000 at this moment
RTC_MEMORY = 31  # data: new content when arg is 1
WDT_START = 32  # arg: milliseconds
WDT_FEED = 33  # posted
NVS_GET = 34  # data: namespace \0 key; arg: 0 integer, 1 blob
NVS_SET = 35  # data: namespace \0 key \0 value; arg: 0 integer (<i), 1 blob
NVS_ERASE = 36
NVS_COMMIT = 37

PARTITIONS = 40  # -> JSON: [[type, subtype, offset, size, label], ...]
FLASH_PROGRAM = 42  # arg: address; data: bytes (1 -> 0 only)
FLASH_ERASE = 43  # arg: address of a 4 KiB block; data <I: number of blocks

NET_ACTIVE = 50  # arg: interface << 2 | order (0 off, 1 on, 2 only ask)
NET_CONNECT = 51  # arg: interface; data: ssid \0 password
NET_DISCONNECT = 52
NET_STATUS = 53  # -> status number
NET_SCAN = 54  # -> JSON
NET_RSSI = 55
NET_RECONNECTS = 56  # arg: the driver's own attempts and one, 0 for ever

SOCK_OPEN = 60  # arg: 1 stream, 2 datagram
SOCK_CONNECT = 61  # arg: handle; data <IH4s: timeout, port, address
SOCK_SEND = 62  # arg: handle; data <I + bytes: timeout, bytes; -> how many
SOCK_RECV = 63  # arg: handle << 16 | limit; data <I: timeout
SOCK_CLOSE = 64
SOCK_SENDTO = 65  # arg: handle; data <H4s + bytes
DNS = 66  # data: name; -> 4 bytes
SOCK_NODELAY = 67  # arg: handle << 1 | on

FOREVER = 0xFFFFFFFF
POSTED = 0x8000  # this call wants no answer

POWER_ON, HARD, WATCHDOG, DEEP_SLEEP, SOFT = 1, 2, 3, 4, 5  # causes of a reset, as machine.reset_cause() says them
