/* The planned road of gangs: members that arrive gated, one plan for all, the release of the gates, parked binds, the
 * burst of Bindings, and what may break in between. The states are those of include/berth/gangs.h and bear its names.
 *
 * Members of one gang are alike, so they are counted, not told apart: a member is absent, gated, loose (without its
 * gate, not bound), parked (its bind call waits for an answer) or bound. What a crash takes away is kept apart from
 * what the API server keeps: state, reservations and parked calls are berth's memory; gates, plans written on pods,
 * Bindings and the mark of a whole gang are the API server's.
 *
 * A deadline may run out only where something is really missing: it bounds a wait, and is never a race with work that
 * goes on.
 *
 * Parameters: GANGS, MEMBERS (the quorum is all), ROOM (members that the fleet holds), CRASHES (of berth), RESTARTS (of
 * kube-scheduler), LOSSES (members deleted), REFUSALS (a planned node that kube-scheduler does not accept), QUITS
 * (controllers that stop replacing members), TAKEOVERS. Each WITHOUT_… takes one guard out. */
#ifndef GANGS
#define GANGS 1
#endif
#ifndef MEMBERS
#define MEMBERS 2
#endif
#ifndef ROOM
#define ROOM MEMBERS
#endif
#ifndef CRASHES
#define CRASHES 0
#endif
#ifndef RESTARTS
#define RESTARTS 0
#endif
#ifndef LOSSES
#define LOSSES 0
#endif
#ifndef REFUSALS
#define REFUSALS 0
#endif
#ifndef QUITS
#define QUITS 0
#endif

mtype = { GATHERING, QUEUED, PLANNED, RELEASED, COMMITTING, WHOLE, UNDOING };

/* The API server */
byte absent[GANGS], gated[GANGS], bound[GANGS];
bool mark[GANGS];  /* the gang was whole once */
bool suspended[GANGS]; /* its owner, by berth, whose mark is on it: in one write */
bool ended[GANGS]; /* its work is done, or its owner deleted it */
bool quit[GANGS];  /* nobody replaces its members */

/* kube-scheduler and the calls that wait in berth */
byte loose[GANGS], parked[GANGS];
bool refused[GANGS];

/* For the properties alone */
bool stood[GANGS];    /* all members were bound at one time */
bool hopeless[GANGS]; /* its deadline ran out while something was missing */

/* berth's memory */
mtype state[GANGS];
byte reserved[GANGS]; /* beside what is bound */
bool listed;          /* the API server's state is known */

byte crashes = CRASHES, restarts = RESTARTS, losses = LOSSES, refusals = REFUSALS, quits = QUITS;

#if GANGS == 1
#define TAKEN (bound[0] + reserved[0])
#define BOUND (bound[0])
#else
#define TAKEN (bound[0] + reserved[0] + bound[1] + reserved[1])
#define BOUND (bound[0] + bound[1])
#endif
#define MISSING(g) (MEMBERS - bound[g])
#define PARTIAL(g) (bound[g] > 0 && bound[g] < MEMBERS && !stood[g])
#define ROOM_FOR(g) (TAKEN - reserved[g] + MISSING(g) <= ROOM)
/* Waiting longer brings nothing. */
#define STUCK(g) ((state[g] == COMMITTING && bound[g] + reserved[g] < MEMBERS && !ROOM_FOR(g)) || \
	(absent[g] > 0 && (quit[g] || ended[g])))

/* Room is taken for all that is missing, or not at all. */
inline hold(g)
{
	if
#ifdef WITHOUT_ONE_LEDGER
	:: true -> reserved[g] = MISSING(g)
#else
	:: ROOM_FOR(g) -> reserved[g] = MISSING(g)
	:: else -> reserved[g] = 0
#endif
	fi;
	assert(TAKEN <= ROOM)
}

#ifdef WITHOUT_MARK
#define TO_RESUME(g) false
#else
#define TO_RESUME(g) (suspended[g])
#endif

/* What a berth that starts makes of what it reads: a gang with members bound goes on with its burst, and an undo goes
 * on. */
inline rebuild(g)
{
	if
	:: bound[g] == MEMBERS || mark[g] -> state[g] = WHOLE; reserved[g] = 0
	:: else ->
		if
		:: TO_RESUME(g) -> state[g] = UNDOING; reserved[g] = 0
#ifdef WITHOUT_FINISH
		:: !TO_RESUME(g) && bound[g] > 0 -> suspended[g] = true; state[g] = UNDOING; reserved[g] = 0
#else
		:: !TO_RESUME(g) && bound[g] > 0 -> state[g] = COMMITTING; hold(g)
#endif
		:: !TO_RESUME(g) && bound[g] == 0 && loose[g] > 0 && absent[g] == 0 && ROOM_FOR(g) -> state[g] = RELEASED; hold(g)
		:: else -> state[g] = GATHERING; reserved[g] = 0
		fi
	fi
}

inline forget(g)
{
	loose[g] = loose[g] + parked[g];
	parked[g] = 0;
	reserved[g] = 0;
	state[g] = GATHERING
}

/* berth, gang by gang: one thread, so each step is atomic. */
proctype berth(byte g)
{
	do
	:: atomic { listed && state[g] == GATHERING && absent[g] == 0 && !ended[g] -> state[g] = QUEUED }
	:: atomic { listed && state[g] == QUEUED && absent[g] > 0 ->
#ifdef WITHOUT_WHOLE_PLANS
		reserved[g] = 0;
#endif
		state[g] = GATHERING }
#ifdef WITHOUT_WHOLE_PLANS
	:: atomic { listed && state[g] == QUEUED && absent[g] == 0 && TAKEN < ROOM && reserved[g] < MISSING(g) ->
		reserved[g]++;
		if
		:: reserved[g] == MISSING(g) -> state[g] = PLANNED
		:: else
		fi }
#else
	:: atomic { listed && state[g] == QUEUED && absent[g] == 0 && ROOM_FOR(g) -> hold(g); state[g] = PLANNED }
#endif
	/* one PATCH a pod takes the gate away and writes the plan */
	:: atomic { state[g] == PLANNED && gated[g] > 0 -> gated[g]--; loose[g]++ }
	:: atomic { state[g] == PLANNED && gated[g] == 0 -> state[g] = RELEASED }
	:: atomic { state[g] == RELEASED && gated[g] > 0 -> gated[g]--; loose[g]++ } /* after a crash between the PATCHes */
	:: atomic { state[g] == RELEASED && parked[g] == MEMBERS -> state[g] = COMMITTING }
	/* a node refused is planned anew; with members missing for good the room goes back */
	:: atomic { state[g] == RELEASED && refused[g] -> refused[g] = false }
	:: atomic { (state[g] == PLANNED || state[g] == RELEASED) && STUCK(g) ->
#ifdef WITHOUT_RELEASE
		loose[g] = loose[g] + parked[g]; parked[g] = 0; state[g] = GATHERING
#else
		forget(g)
#endif
	   }
	/* the burst: one Binding after the other; late replacements are let through at once */
	:: atomic { listed && state[g] == COMMITTING && bound[g] + reserved[g] < MEMBERS && ROOM_FOR(g) -> hold(g) }
	:: atomic { state[g] == COMMITTING && gated[g] > 0 -> gated[g]--; loose[g]++ }
	:: atomic { state[g] == COMMITTING && parked[g] > 0 ->
		parked[g]--; bound[g]++;
		if
		:: reserved[g] > 0 -> reserved[g]--
		:: else
		fi;
		stood[g] = stood[g] || bound[g] == MEMBERS;
		assert(BOUND <= ROOM) }
	:: atomic { state[g] == COMMITTING && refused[g] -> refused[g] = false }
	:: atomic { state[g] == COMMITTING && bound[g] == MEMBERS -> reserved[g] = 0; state[g] = WHOLE }
	:: atomic { state[g] == WHOLE && bound[g] == MEMBERS && !mark[g] -> mark[g] = true }
	/* a member of a whole gang died: its replacement waits for room alone */
	:: atomic { state[g] == WHOLE && gated[g] > 0 && TAKEN < ROOM && !ended[g] -> reserved[g]++; gated[g]--; loose[g]++ }
	:: atomic { state[g] == WHOLE && loose[g] + parked[g] > reserved[g] && TAKEN < ROOM && !ended[g] -> reserved[g]++ } /* after a crash */
	:: atomic { state[g] == WHOLE && parked[g] > 0 -> parked[g]--; bound[g]++; reserved[g]--; assert(BOUND <= ROOM) }
	:: atomic { state[g] == WHOLE && refused[g] -> refused[g] = false }
	:: atomic { state[g] == WHOLE && reserved[g] > loose[g] + parked[g] -> reserved[g]-- } /* it went before it was bound */
	/* nobody will come: what stands is undone, by way of the owner */
#ifndef WITHOUT_UNDO
	:: atomic { listed && state[g] == COMMITTING && STUCK(g) ->
		forget(g); suspended[g] = true; state[g] = UNDOING; hopeless[g] = true }
#endif
	:: atomic { state[g] == UNDOING && bound[g] == 0 -> suspended[g] = false; state[g] = GATHERING; hopeless[g] = false }
	:: atomic { state[g] == WHOLE && bound[g] == 0 && ended[g] -> mark[g] = false; forget(g) }
	od
}

/* kube-scheduler, for the pods of one gang: filter answers what is reserved, bind parks. */
proctype scheduler(byte g)
{
	do
	:: atomic { loose[g] > 0 && !refused[g] && (state[g] == PLANNED || state[g] == RELEASED || state[g] == COMMITTING || state[g] == WHOLE) &&
		reserved[g] > parked[g] ->
		if
		:: refusals > 0 -> refusals--; refused[g] = true
		:: loose[g]--; parked[g]++
		fi }
	od
}

/* The owner's controller makes what is missing. New pods come with a gate. */
proctype controller(byte g)
{
	do
	:: atomic { absent[g] > 0 && !ended[g] && !quit[g] && !suspended[g] -> absent[g]--; gated[g]++ }
	/* suspended, it takes away all it has made, and counts none as failed */
	:: atomic { suspended[g] && gated[g] > 0 -> gated[g]--; absent[g]++ }
	:: atomic { suspended[g] && loose[g] > 0 -> loose[g]--; absent[g]++ }
	:: atomic { suspended[g] && bound[g] > 0 ->
		assert(hopeless[g]); /* nothing is undone that could still be finished */
		bound[g]--; absent[g]++ }
	:: atomic { ended[g] && gated[g] > 0 -> gated[g]--; absent[g]++ }
	:: atomic { ended[g] && loose[g] > 0 -> loose[g]--; absent[g]++ }
	:: atomic { ended[g] && parked[g] > 0 -> parked[g]--; absent[g]++ } /* berth sees the pod go and answers the call */
	:: atomic { ended[g] && bound[g] > 0 -> bound[g]--; absent[g]++ }
	:: atomic { mark[g] && bound[g] == MEMBERS && !ended[g] -> ended[g] = true } /* the work is done */
	od
}

/* What breaks. */
proctype faults()
{
	byte g;
	do
	:: atomic { crashes > 0 -> crashes--; listed = false;
		g = 0;
		do
		:: g < GANGS -> forget(g); g++
		:: else -> break
		od; g = 0 }
	:: atomic { restarts > 0 -> restarts--;
		g = 0;
		do
		:: g < GANGS -> loose[g] = loose[g] + parked[g]; parked[g] = 0; g++
		:: else -> break
		od; g = 0 }
	:: atomic { losses > 0 && gated[0] > 0 -> losses--; gated[0]--; absent[0]++ }
	:: atomic { losses > 0 && loose[0] > 0 -> losses--; loose[0]--; absent[0]++ }
	:: atomic { losses > 0 && parked[0] > 0 -> losses--; parked[0]--; absent[0]++ }
	:: atomic { losses > 0 && bound[0] > 0 && !ended[0] -> losses--; bound[0]--; absent[0]++;
		/* berth sees it go: the room becomes a hole held for the replacement */
		if
		:: listed && state[0] == COMMITTING -> reserved[0]++
		:: else
		fi }
	:: atomic { quits > 0 -> quits--; quit[0] = true }
	od
}

/* A berth that starts, or takes over, lists before it plans. */
proctype start()
{
	byte g;
	do
	:: atomic { !listed ->
		g = 0;
		do
		:: g < GANGS ->
			rebuild(g);
			g++
		:: else -> break
		od; g = 0;
		listed = true }
	od
}

init
{
	byte g;
	atomic {
		g = 0;
		do
		:: g < GANGS ->
			absent[g] = MEMBERS; state[g] = GATHERING;
			run berth(g); run scheduler(g); run controller(g);
			g++
		:: else -> break
		od;
		listed = true;
		run start();
		run faults()
	}
}

/* No partial gang outlives its deadline. */
ltl partial_ends { [] (PARTIAL(0) -> <> !PARTIAL(0)) }
/* No reservation leaks. */
ltl nothing_leaks { [] ((ended[0] || quit[0]) -> <> (reserved[0] == 0)) }
/* No owner stays suspended. */
ltl resumed { [] (suspended[0] -> <> !suspended[0]) }
#if GANGS > 1
/* Two gangs never block each other for ever. */
ltl both_run { <> mark[0] && <> mark[1] }
#else
/* A gang whose members keep coming runs. */
ltl gang_runs { <> mark[0] }
#endif
