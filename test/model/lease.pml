/* Who may write: two berths, each beside its own kube-scheduler, whose Lease says who is active. A berth fences itself
 * by the clock alone: it sends nothing later than RENEW ticks after the last renewal it saw, and a write that it has
 * sent is given up, or has landed, within one tick. A berth may stand still at any point and go on later.
 *
 * Time is a counter that stops at LEASE: the other may take the Lease then, and not before. */
#define LEASE 3
#define RENEW 2

byte holder = 0;
byte age;             /* ticks since the Lease was renewed; the same for both, as both read it */
bool leads[2];        /* what the berth believes */
bool listed[2];       /* it has read the state since it began to lead */
bool knows[2];        /* nobody else has written since it read */
bool sent[2];         /* a write is on its way */
byte waits[2];        /* ticks that it is on its way */

#ifdef WITHOUT_RELIST
#define READ_ANEW(b) true
#else
#define READ_ANEW(b) listed[b]
#endif
#ifdef WITHOUT_FENCE
#define MAY_WRITE(b) leads[b] && READ_ANEW(b)
#else
#define MAY_WRITE(b) leads[b] && READ_ANEW(b) && holder == b && age < RENEW
#endif

proctype berth(byte b)
{
	do
	/* kube-scheduler beside it renews, or takes an old Lease over */
	:: atomic { holder == b && leads[b] && age < LEASE -> age = 0 }
	:: atomic { holder != b && age == LEASE -> holder = b; age = 0; leads[b] = true; listed[b] = false }
	:: atomic { leads[b] && !listed[b] -> listed[b] = true; knows[b] = true }
	:: atomic { MAY_WRITE(b) && !sent[b] -> sent[b] = true; waits[b] = 0 }
	:: atomic { sent[b] ->
		sent[b] = false;
		assert(holder == b); /* nobody else leads when it lands */
		assert(knows[b]);
		knows[1 - b] = false }
#ifndef WITHOUT_TIMEOUT
	:: atomic { sent[b] && waits[b] == 1 -> sent[b] = false } /* given up */
#endif
	/* it sees that the Lease went to the other */
	:: atomic { leads[b] && holder != b -> leads[b] = false; listed[b] = false }
	od
}

proctype clock()
{
	do
#ifdef WITHOUT_TIMEOUT
	:: atomic { age < LEASE -> age++ }
#else
	:: atomic { age < LEASE && !(sent[0] && waits[0] == 1) && !(sent[1] && waits[1] == 1) ->
		age++;
		waits[0] = (sent[0] -> 1 : 0);
		waits[1] = (sent[1] -> 1 : 0) }
#endif
	od
}

init
{
	atomic { leads[0] = true; listed[0] = true; knows[0] = true; run berth(0); run berth(1); run clock() }
}
