/* Every code is provoked, at its place. */
#include "support.h"

#include "policy/problem.h"

struct case_ {
	const char *text, *code;
	unsigned line, column;
	const char *says; /* part of the message */
};

/* A case has exactly one problem. */
static const struct case_ cases[] = {
    {"", "P001", 1, 1, "empty"},
    {"# nothing\n", "P001", 1, 1, "empty"},
    {"---\n", "P001", 1, 1, "empty"},
    {HEAD "classes: [{name: c\n", "P001", 4, 1, "did not find"},
    {HEAD "classes: &a []\n", "P001", 3, 10, "anchors"},
    {HEAD TAIL "---\nkind: x\n", "P001", 5, 1, "more than one document"},
    {"\xff\n", "P001", 1, 1, "UTF-8"},

    {HEAD TAIL "poools: []\n", "P002", 5, 1,
        "\"poools\", which is not known by this version of berth. Did you mean \"pools\"?"},
    {HEAD TAIL "reservations: []\n", "P002", 5, 1,
        "key \"reservations\", which is not known by this version of berth."},
    {HEAD TAIL "\"no\\eway\\n\": 1\n", "P002", 5, 1, "\"no\\x1bway\\x0a\""},
    {HEAD "classes: [{name: c, asVictim: {runtime: 1m}}]\nfallback: c\n", "P002", 3, 32,
        "classes[0].asVictim has the key \"runtime\""},
    {HEAD "classes: [{name: c, asVictim: {}}]\nfallback: c\n", "P007", 3, 31, "classes[0].asVictim is empty"},
    {HEAD "classes: [{name: c, asVictim: {evict: \"true\"}}]\nfallback: c\n", "P004", 3, 39,
        "classes[0].asVictim.evict must be true or false, not \"true\""},
    {HEAD "classes: [{name: c, asVictim: {evict: [true]}}]\nfallback: c\n", "P004", 3, 39, "not a list"},
    {HEAD "classes: [{name: c, asVictim: {evict: Yes}}]\nfallback: c\n", "P004", 3, 39, "not \"Yes\""},
    {HEAD "classes: [{name: c, gang: {required: host}}]\nfallback: c\n", "P002", 3, 28, "Did you mean \"require\"?"},
    {HEAD "classes: [{name: c, Only: [x]}]\nfallback: c\n", "P002", 3, 21, "Did you mean \"only\"?"},

    {HEAD TAIL "fallback: c\n", "P003", 5, 1, "\"fallback\" twice; it is also in line 4"},
    {HEAD "classes: [{name: c, match: [{podLabels: {a: b, a: c}}]}]\nfallback: c\n", "P003", 3, 48, "\"a\" twice"},

    {"[]\n", "P004", 1, 1, "the policy must be a map, not a list"},
    {"text\n", "P004", 1, 1, "the policy must be a map, not a string"},
    {HEAD "classes:\nfallback: c\n", "P004", 3, 9, "classes has no value; a list is due"},
    {HEAD "classes: {name: c}\nfallback: c\n", "P004", 3, 10, "not a map; begin each item"},
    {HEAD "classes: [{name: c, match: [{namespaces: c}]}]\nfallback: c\n", "P004", 3, 42, "write it in brackets"},
    {HEAD "classes: [c]\nfallback: c\n", "P004", 3, 11, "classes[0] must be a map, not a string"},
    {HEAD "classes: [{name: c}]\nfallback: [c]\n", "P004", 4, 11, "fallback must be a string, not a list"},
    {HEAD "classes: [{name: c}]\nfallback:\n", "P004", 4, 10, "fallback has no value; a string is due"},
    {HEAD "classes: [{name: c}]\nfallback: ~\n", "P004", 4, 11, "no value"},
    {HEAD "classes: [{name: c, place: {cost: \"1\"}}]\nfallback: c\n", "P004", 3, 35, "write it without quotes"},
    {HEAD "classes: [{name: c, place: {cost: 0x10}}]\nfallback: c\n", "P004", 3, 35, "must be a decimal number"},
    {HEAD "classes: [{name: d, maxGPUsPerPod: 1.5}, {name: c}]\nfallback: c\n", "P004", 3, 36,
        "a whole decimal number"},
    {HEAD "classes: [{name: d, maxGPUsPerPod: all}, {name: c}]\nfallback: c\n", "P004", 3, 36,
        "a number, not a string"},
    {HEAD "classes: [{name: c, match: [{podLabels: [a]}]}]\nfallback: c\n", "P004", 3, 41,
        "a map of labels, not a list"},

    {"kind: PlacementPolicy\n" TAIL, "P005", 1, 1, "the policy has no \"apiVersion\""},
    {HEAD "fallback: c\n", "P005", 1, 1, "the policy has no \"classes\""},
    {HEAD "classes: [{name: c}]\n", "P005", 1, 1, "the policy has no \"fallback\""},
    {HEAD "classes: [{name: c}, {match: [{}]}]\nfallback: c\n", "P005", 3, 22, "classes[1] has no \"name\""},
    {HEAD TAIL "health: {avoid: [{nodeCondition: X}]}\n", "P005", 5, 19, "\"nodeCondition\" without \"is\""},
    {HEAD TAIL "health: {avoid: [{taintKey: x, is: \"True\"}]}\n", "P005", 5, 32, "\"is\" without \"nodeCondition\""},
    {HEAD "classes: [{name: c, replicas: {}}]\nfallback: c\n", "P005", 3, 31,
        "classes[0].replicas has no \"spreadOver\""},

    {HEAD "classes: [{name: c, match: [{namespaces: [123]}]}]\nfallback: c\n", "P006", 3, 43, "in quotes: \"123\""},
    {HEAD "classes: [{name: no}]\nfallback: \"no\"\n", "P006", 3, 18, "a boolean to YAML"},
    {HEAD TAIL "health: {avoid: [{nodeCondition: X, is: True}]}\n", "P006", 5, 41, "in quotes: \"True\""},
    {HEAD "classes: [{name: c, match: [{podLabels: {a: on}}]}]\nfallback: c\n", "P006", 3, 45,
        "podLabels[\"a\"] is a boolean"},
    {HEAD "classes: [{name: c, match: [{podLabels: {a: 1:30}}]}]\nfallback: c\n", "P006", 3, 45, "a number to YAML"},

    {HEAD TAIL "gate: {releaseAfter: 1m}\n", "P005", 5, 7, "gate has no \"classes\""},
    {HEAD "classes: [{name: c, match: [{gangGPUs: {}}]}]\nfallback: c\n", "P005", 3, 40, "gangGPUs has no \"min\""},
    {HEAD TAIL "topology: [{level: a}]\n", "P005", 5, 13, "\"level\" without \"nodeLabel\""},
    {HEAD TAIL "topology: [{preset: zone, upTo: lastDot}]\n", "P005", 5, 27, "\"upTo\" without \"nodeLabel\""},
    {HEAD TAIL "topology: [{level: a, nodeLabel: a, levels: [b]}]\n", "P005", 5, 37, "\"levels\" without \"preset\""},

    {HEAD "classes: [{name: c, gang: {}}]\nfallback: c\n", "P007", 3, 27, "classes[0].gang is empty"},
    {HEAD "classes: [{name: c, match: []}]\nfallback: c\n", "P007", 3, 28, "classes[0].match is empty"},
    {HEAD TAIL "pools: []\n", "P007", 5, 8, "pools is empty"},
    {HEAD TAIL "health: {}\n", "P007", 5, 9, "health is empty"},
    {HEAD "classes: [{name: c, place: {}}]\nfallback: c\n", "P007", 3, 28, "place is empty"},
    {HEAD TAIL "pools: [{name: p, nodeSelector: {}}]\n", "P007", 5, 33, "must have matchLabels or matchExpressions"},
    {HEAD TAIL "pools: [{name: p, nodeSelector: {matchLabels: {}}}]\n", "P007", 5, 47, "matchLabels is empty"},

    {HEAD "classes: [{name: d, maxGPUsPerPod: 0}, {name: c}]\nfallback: c\n", "P008", 3, 36, "1 to 1000000"},
    {HEAD "classes: [{name: c, match: [{gangGPUs: {min: 0}}]}]\nfallback: c\n", "P008", 3, 46, "1 to 1000000"},
    {HEAD "classes: [{name: c, gang: {membersWithin: 999ms}}]\nfallback: c\n", "P008", 3, 43, "1s to 720h"},
    {HEAD "classes: [{name: c, gang: {holdDomainAfter: 721h}}]\nfallback: c\n", "P008", 3, 45, "1s to 720h"},
    {HEAD "classes: [{name: c, gang: {reserveAfter: 721h}}]\nfallback: c\n", "P008", 3, 42, "0s to 720h"},
    {HEAD "classes: [{name: c, gang: {reserveAfter: 5us}}]\nfallback: c\n", "P025", 3, 42, "is no duration"},
    {HEAD "classes: [{name: c, place: {bestFit: -0.5}}]\nfallback: c\n", "P008", 3, 38, "0 to 1000000"},
    {HEAD "classes: [{name: c, place: {bestFit: 1e7}}]\nfallback: c\n", "P008", 3, 38, "out of range"},

    {HEAD TAIL
        "topology: [{level: a, nodeLabel: a}, {level: b, nodeLabel: b}, {level: d, nodeLabel: d}, {level: e, "
        "nodeLabel: e}, {level: f, nodeLabel: f}, {level: g, nodeLabel: g}, {level: h, nodeLabel: h}, {level: i, "
        "nodeLabel: i},\n{level: j, nodeLabel: j}]\n",
        "P009", 6, 1, "topology has 9 items; at most 8"},

    {HEAD TAIL "topology: [{preset: aws}, {preset: coreweave, levels: [fabric, superpod, leafgroup, rack]},\n"
               "  {preset: oci, levels: [block]}, {preset: zone}]\n",
        "P009", 6, 44, "topology has more than 8 levels, those of presets counted"},

    {HEAD "classes: [{name: c.}]\nfallback: c\n", "P010", 3, 18, "is no name"},
    {HEAD TAIL "topology: [{level: a, nodeLabel: A.b/c}]\n", "P010", 5, 34, "is no label key"},
    {HEAD TAIL "pools: [{name: p, nodeSelector: {matchLabels: {a: b c}}}]\n", "P010", 5, 51, "is no label value"},
    {HEAD TAIL "pools: [{name: p, nodeSelector: {matchLabels: {a/: b}}}]\n", "P010", 5, 48, "is no label key"},
    {HEAD "classes: [{name: c, match: [{owners: [deployment]}]}]\nfallback: c\n", "P010", 3, 39,
        "a capital letter first, like StatefulSet. Did you mean \"Deployment\"?"},
    {HEAD "classes: [{name: c, match: [{owners: [apps/Deployment]}]}]\nfallback: c\n", "P010", 3, 39,
        "Did you mean \"Deployment\"?"},
    {HEAD "classes: [{name: c, match: [{owners: [myKind]}]}]\nfallback: c\n", "P010", 3, 39, "like StatefulSet"},
    {HEAD TAIL "health: {avoid: [{taintKey: a b}]}\n", "P010", 5, 29, "is no label key"},
    {HEAD "classes: [{name: c, match: [{namespaces: [\"a[bc]\"]}]}]\nfallback: c\n", "P011", 3, 43, "for a namespace"},
    {HEAD "classes: [{name: c, match: [{namespaces: [\"\"]}]}]\nfallback: c\n", "P011", 3, 43, "for a namespace"},
    {HEAD "classes: [{name: c, match: [{podLabels: {a: b|c}}]}]\nfallback: c\n", "P011", 3, 45, "for a label value"},

    {HEAD "classes: [{name: c}]\nfallback: d\n", "P012", 4, 11, "fallback \"d\" is not one of the classes: c"},
    {HEAD "classes: [{name: batch}, {name: dev}]\nfallback: bach\n", "P012", 4, 11,
        "is not one of the classes: batch, dev. Did you mean \"batch\"?"},
    {HEAD TAIL "topology: [{preset: oci}]\ngate: {classes: [d]}\n", "P012", 6, 18,
        "gate.classes[0] \"d\" is not one of the classes: c"},
    {HEAD "topology: [{preset: oci}]\nclasses: [{name: c, gang: {require: rak}}]\nfallback: c\n", "P012", 4, 37,
        "classes[0].gang.require \"rak\" is not one of the levels of the topology: block, rack, host. Did you mean"},
    {HEAD "topology: [{preset: topograph}]\nclasses: [{name: c, gang: {prefer: core}}]\nfallback: c\n", "P012", 4, 36,
        "classes[0].gang.prefer \"core\" is not one of"},
    {HEAD "classes: [{name: c, prefer: [p]}]\nfallback: c\n", "P012", 3, 30,
        "\"p\" is not defined: the policy has no pools"},
    {HEAD "pools: [{name: p, gpu: T4}]\nclasses: [{name: d, only: [q]}, {name: c}]\nfallback: c\n", "P012", 4, 28,
        "classes[0].only[0] \"q\" is not one of the pools: p"},
    {HEAD "classes: [{name: c, replicas: {spreadOver: rack}}]\nfallback: c\n", "P012", 3, 44,
        "is not one of the levels of the topology: host"},

    {HEAD "classes: [{name: c},\n{name: c}]\nfallback: c\n", "P013", 4, 8, "classes[1].name \"c\" is also in line 3"},
    {HEAD TAIL "pools: [{name: p, gpu: T4}, {name: p, gpu: L4}]\n", "P013", 5, 36, "pools[1].name"},
    {HEAD TAIL "topology: [{level: a, nodeLabel: a}, {level: a, nodeLabel: b}]\n", "P013", 5, 46, "topology[1].level"},
    {HEAD TAIL "topology: [{level: a, nodeLabel: a}, {level: b, nodeLabel: a}]\n", "P013", 5, 60,
        "topology[1].nodeLabel"},
    {HEAD TAIL "topology: [{level: host, nodeLabel: a}]\n", "P013", 5, 20, "is implied"},
    {HEAD TAIL "topology: [{preset: oci}, {level: rack, nodeLabel: a}]\n", "P013", 5, 35,
        "topology[1].level \"rack\" is also in line 5"},
    {HEAD TAIL "topology: [{level: a, nodeLabel: a}, {preset: zone},\n {preset: zone, levels: [zone]}]\n", "P013", 6,
        26, "topology[2]: level \"zone\" is also in line 5"},
    {HEAD TAIL "topology: [{level: a, nodeLabel: network.topology.nvidia.com/block}, {preset: topograph}]\n", "P013", 5,
        79, "topology[1]: label \"network.topology.nvidia.com/block\" is also in line 5"},
    {HEAD TAIL "topology: [{preset: topograph, levels: [leaf, leaf]}]\n", "P013", 5, 47, "in the list twice"},
    {HEAD TAIL "gate: {classes: [c, c]}\n", "P013", 5, 21, "in the list twice"},
    {HEAD "classes: [{name: c, assume: [bf16, bf16]}]\nfallback: c\n", "P013", 3, 36, "in the list twice"},
    {HEAD TAIL "health: {avoid: [{taintKey: a}, {taintKey: b}, {taintKey: a}]}\n", "P013", 5, 48,
        "same as health.avoid[0]"},

    {"apiVersion: berth.dev/v1\nkind: PlacementPolicy\n" TAIL, "P014", 1, 13, "is not \"berth.dev/v1alpha1\""},
    {"apiVersion: berth.dev/v1alpha1\nkind: Policy\n" TAIL, "P014", 2, 7, "is not \"PlacementPolicy\""},
    {HEAD "classes: [{name: c, place: {packk: 1}}]\nfallback: c\n", "P014", 3, 29, "Did you mean \"bestFit\"?"},
    {HEAD "classes: [{name: c, place: {bestfit: 1}}]\nfallback: c\n", "P014", 3, 29, "Did you mean \"bestFit\"?"},
    {HEAD "classes: [{name: c, mode: advice}]\nfallback: c\n", "P014", 3, 27, "Did you mean \"advise\"?"},
    {HEAD "classes: [{name: c, mode: advise, mode: decide}]\nfallback: c\n", "P003", 3, 35, "mode"},
    {HEAD "classes: [{name: c, mode: 1}]\nfallback: c\n", "P006", 3, 27, "mode"},
    {HEAD TAIL "health: {avoid: [{nodeCondition: X, is: \"true\"}]}\n", "P014", 5, 41, "Did you mean \"True\"?"},
    {HEAD TAIL "pools: [{name: p, nodeSelector: {matchExpressions: [{key: a, operator: in, values: [b]}]}}]\n", "P014",
        5, 72, "Did you mean \"In\"?"},

    {HEAD "classes: [{name: c, gang: {onNodeLoss: restat}}]\nfallback: c\n", "P014", 3, 40,
        "Did you mean \"restart\"?"},
    {HEAD TAIL "topology: [{preset: topogaph}]\n", "P014", 5, 21, "Did you mean \"topograph\"?"},
    {HEAD TAIL "topology: [{preset: topograph, levels: [spine, leef]}]\n", "P014", 5, 48,
        "topology[0].levels[1] \"leef\" is not one of core, spine, leaf, accelerator. Did you mean \"leaf\"?"},
    {HEAD TAIL "topology: [{level: a, nodeLabel: a, upTo: firstDot}]\n", "P014", 5, 43, "\"lastDot\""},

    {HEAD TAIL "pools: [{name: p, gpu: H10}]\n", "P015", 5, 24, "Did you mean \"H100\"?"},
    {HEAD TAIL "pools: [{name: p, gpu: a100}]\n", "P015", 5, 24, "Did you mean \"A100\"?"},
    {HEAD TAIL "pools: [{name: p, gpu: H100-SXM}]\n", "P015", 5, 24, "Did you mean \"H100\"?"},
    {HEAD TAIL "pools: [{name: p, gpu: NVIDIA-A100-SXM4-80GB-MIG-1g.10gb}]\n", "P015", 5, 24, "Did you mean \"A100\"?"},
    {HEAD "classes: [{name: c, assume: [bfloat16]}]\nfallback: c\n", "P016", 3, 30,
        "fp64, fp32, tf32, bf16, fp16, fp8, int8"},
    {HEAD "classes: [{name: c, assume: [tf23]}]\nfallback: c\n", "P016", 3, 30, "Did you mean \"tf32\"?"},
    {HEAD TAIL "pools: [{name: p}]\n", "P017", 5, 9, "pools[0] must have gpu or nodeSelector"},

    {HEAD "classes: [{name: c, match: [{}]}, {name: d, match: [{owners: [Job]}]}]\nfallback: c\n", "P018", 3, 42,
        "classes[1] \"d\" is never reached by its match: classes[0] \"c\""},
    {HEAD "classes: [{name: c, match: [{namespaces: [\"a-*\"]}, {owners: [Job, Notebook]}]},\n"
          "  {name: d, match: [{namespaces: [a-b], owners: [RayJob]}, {owners: [Notebook]}]}]\nfallback: c\n",
        "P018", 4, 10, "takes its pods"},
    {HEAD "pools: [{name: p, gpu: T4}]\nclasses: [{name: c, only: [p]}]\nfallback: c\n", "P019", 4, 27,
        "may not have \"only\""},
    {HEAD "classes: [{name: c, maxGPUsPerPod: 4}]\nfallback: c\n", "P019", 3, 36, "may not have \"maxGPUsPerPod\""},
    {HEAD
        "pools: [{name: p, gpu: T4}, {name: q, gpu: L4}]\nclasses: [{name: d, only: [p], prefer: [p, q]}, {name: c}]\n"
        "fallback: c\n",
        "P020", 4, 44, "classes[0].prefer[1] \"q\" has no effect"},
    {HEAD "classes: [{name: c, place: {siblingsApart: 3}}]\nfallback: c\n", "P020", 3, 44,
        "without replicas.spreadOver"},
    {HEAD "classes: [{name: c, place: {modelFit: 3}}]\nfallback: c\n", "P020", 3, 39, "without prefer"},
    {HEAD "topology: [{preset: oci}]\nclasses: [{name: c, gang: {require: rack, prefer: block}}]\nfallback: c\n",
        "P020", 4, 51, "classes[0].gang.prefer \"block\" has no effect: it is not below \"rack\""},
    {HEAD "classes: [{name: c, gang: {require: host, prefer: host}}]\nfallback: c\n", "P020", 3, 51, "no effect"},
    {HEAD TAIL "pools: [{name: p, gpu: T4}, {name: q, gpu: T4}]\n", "P021", 5, 29,
        "pools[1] \"q\" overlaps with pools[0] \"p\""},
    {HEAD TAIL "pools:\n- {name: p, gpu: T4, nodeSelector: {matchLabels: {a: b}}}\n- {name: q, gpu: T4}\n", "P021", 7,
        3, "overlaps"},

    {HEAD TAIL "health: {avoid: [{taintKey: a, nodeCondition: b, is: \"True\"}]}\n", "P022", 5, 18,
        "either nodeCondition or taintKey, not both"},
    {HEAD TAIL "topology: [{level: a, nodeLabel: a, preset: zone}]\n", "P022", 5, 12,
        "either level or preset, not both"},
    {HEAD TAIL "topology: [{}]\n", "P022", 5, 12, "must have level or preset"},
    {HEAD TAIL "health: {avoid: [{}]}\n", "P022", 5, 18, "must have nodeCondition or taintKey"},
    {HEAD TAIL "pools: [{name: p, nodeSelector: {matchExpressions: [{key: a, operator: In}]}}]\n", "P022", 5, 72,
        "needs values"},
    {HEAD TAIL "pools: [{name: p, nodeSelector: {matchExpressions: [{key: a, operator: Exists, values: [b]}]}}]\n",
        "P022", 5, 88, "takes no values"},
    {HEAD TAIL
        "pools: [{name: p, nodeSelector: {matchExpressions: [{key: a, operator: Gt, values: [\"1\", \"2\"]}]}}]\n",
        "P022", 5, 84, "takes one value"},
    {HEAD TAIL "pools: [{name: p, nodeSelector: {matchExpressions: [{key: a, operator: Lt, values: [b]}]}}]\n", "P022",
        5, 85, "takes a whole number"},
    {HEAD "classes: [{name: c, match: [{owners: [PytorchJob]}]}]\nfallback: c\n", "P023", 3, 39,
        "Did you mean \"PyTorchJob\"?"},
    {HEAD "classes: [{name: c, match: [{owners: [StatefullSet]}]}]\nfallback: c\n", "P023", 3, 39, "\"StatefulSet\"?"},

    {HEAD "classes: [{name: c, mayPreempt: [c]}]\nfallback: c\n", "P024", 3, 34,
        "mayPreempt[0] \"c\" is the class itself"},
    {HEAD "classes: [{name: c, mayPreempt: [d, e]}, {name: d, mayPreempt: [e]}, {name: e, mayPreempt: [c]}]\n"
          "fallback: c\n",
        "P024", 3, 93, "classes[2].mayPreempt[0] closes a cycle: \"c\", \"d\", \"e\", \"c\""},
    {HEAD
        "classes: [{name: c, mayPreempt: [d]}, {name: d, mayPreempt: [e]}, {name: e, mayPreempt: [d]}]\nfallback: c\n",
        "P024", 3, 90, "closes a cycle: \"d\", \"e\", \"d\""},
    {HEAD "classes: [{name: c, mayPreempt: [d]}, {name: d}, {name: e, mayPreempt: [d]}]\nfallback: c\n"
          "pools: [{name: p, gpu: H100}]\n"
          "headroom: [{for: d, pool: p, gpus: 8, lendTo: [c], when: {days: mon-fri, from: \"08:00\", to: \"18:00\", "
          "timeZone: UTC}}]\n",
        "P024", 6, 48, "headroom[0].lendTo[0] closes a cycle: \"c\", \"d\", \"c\""},
    {HEAD TAIL "gate: {classes: [c], releaseAfter: 10}\n", "P025", 5, 36,
        "gate.releaseAfter \"10\" is no duration: numbers with units (h, m, s, ms) are due, like 10m or 1h30m"},
    {HEAD TAIL "gate: {classes: [c], releaseAfter: 0}\n", "P025", 5, 36, "no duration"},
    {HEAD TAIL "gate: {classes: [c], scaleUpAfter: \"10\"}\n", "P025", 5, 36, "no duration"},
    {HEAD TAIL "gate: {classes: [c], scaleUpAfter: 1:30}\n", "P025", 5, 36, "no duration"},
    {HEAD TAIL "gate: {classes: [c], scaleUpAfter: 1d}\n", "P025", 5, 36, "no duration"},
    {HEAD TAIL "gate: {classes: [c], scaleUpAfter: -1m}\n", "P025", 5, 36, "no duration"},
    {HEAD TAIL "gate: {classes: [c], scaleUpAfter: 1.m}\n", "P025", 5, 36, "no duration"},
    {HEAD TAIL "gate: {classes: [c], scaleUpAfter: 10m5}\n", "P025", 5, 36, "no duration"},
    {HEAD TAIL "gate: {classes: [c], scaleUpAfter: 10 m}\n", "P025", 5, 36, "no duration"},
    {HEAD TAIL "gate: {classes: [c], scaleUpAfter: 1000000000000ms}\n", "P025", 5, 36, "no duration"},
    {HEAD TAIL "gate: {classes: [c], scaleUpAfter: [10m]}\n", "P004", 5, 36, "must be a duration, not a list"},
    {HEAD TAIL "gate: {classes: [c], scaleUpAfter: }\n", "P004", 5, 36, "no value; a duration is due"},
    {HEAD "classes: [{name: d, match: [{gangGPUs: {min: 8}}]}, {name: e}]\nfallback: e\ngate: {classes: [d]}\n", "P026",
        3, 40, "classes[0].match[0].gangGPUs is not known when a pod is created"},
    {HEAD "classes: [{name: d, match: [{owners: [Job, RayJob]}]}, {name: e}]\nfallback: e\ngate: {classes: [d]}\n",
        "P026", 3, 44, "owners[1] \"RayJob\" does not control its pods itself, a RayCluster does"},
    {HEAD "classes: [{name: d, match: [{gangGPUs: {min: 8}}]}, {name: e, match: [{gangGPUs: {min: 9}}]}]\n"
          "fallback: d\n",
        "P018", 3, 60, "takes its pods"},
    {HEAD "classes: [{name: c, mayPreempt: [dd, c2]}, {name: c2}]\nfallback: c\n", "P012", 3, 34,
        "classes[0].mayPreempt[0] \"dd\" is not one of the classes: c, c2"},
    {HEAD TAIL "pools: [{name: p, gpu: H100}]\nteams: [{name: a, guaranteed: {p: 8}, limit: {p: 7.5}}]\n", "P027", 6,
        35, "teams[0].guaranteed[p] 8 is above the limit of 7.5 in line 6"},
    {HEAD TAIL "signals: {prometheus: {url: ftp://p}, load: [{name: a, for: c, query: up}]}\n"
               "pools: [{name: p, gpu: H100}]\nheadroom: [{for: c, pool: p, gpus: 8, follow: {max: 16}}]\n",
        "P029", 5, 29, "signals.prometheus.url \"ftp://p\" is no address"},
    {HEAD TAIL "teams: []\n", "P007", 5, 8, "teams is empty"},
    {HEAD TAIL "unlisted: {}\n", "P005", 5, 11, "unlisted has no \"limit\""},
    {HEAD TAIL "unlisted: {limit: {h: 1}}\n", "P012", 5, 20, "the policy has no pools"},
    {HEAD TAIL "unlisted: {limit: 8}\n", "P004", 5, 19, "must be a map of names to numbers, not a number"},
    {HEAD TAIL "teams: [{name: a, namespaces: ['*']}, {name: b, namespaces: [b-*]}]\n", "P020", 5, 62,
        "teams[1].namespaces[0] \"b-*\" has no effect: teams[0], which comes before it"},
    {HEAD TAIL "teams: [{name: a, parent: c}, {name: b, parent: a}, {name: c, parent: b}]\n", "P028", 5, 27,
        "teams[0].parent \"c\" stands below this team"},
    {HEAD TAIL "teams: [{name: a}, {name: b, parent: a}, {name: c, parent: b}, {name: d, parent: c}, "
               "{name: e, parent: d}, {name: f, parent: e}, {name: g, parent: f}, {name: h, parent: g}, "
               "{name: i, parent: h}]\n",
        "P009", 5, 192, "more than 8 teams one above the other"},
    {HEAD TAIL "pools: [{name: p, gpu: H100, mig: {configs: [{name: a, perGPU: {1g.5gb: 7}}]}}]\n", "P030", 5, 65,
        "perGPU: \"1g.5gb\" is not one of the profiles of H100: 1g.10gb, 3g.40gb"},
    {HEAD TAIL "pools: [{name: p, gpu: H100, mig: {configs: [{name: a, perGPU: {3g.40gb: 2, 1g.10gb: 1}}]}}]\n", "P030",
        5, 64, "these slices do not fit on one GPU side by side"},
    {HEAD TAIL "pools: [{name: p, gpu: T4, mig: {configs: [{name: a, perGPU: {1g.10gb: 1}}]}}]\n", "P030", 5, 63,
        "no GPU of the pool has MIG profiles like \"1g.10gb\""},
    {HEAD TAIL "pools: [{name: p, nodeSelector: {matchLabels: {a: b}}, mig: {configs: [{name: a, perGPU: {x: 1}}]}}]\n",
        "P030", 5, 91, "no GPU in the catalogue has MIG profiles like \"x\""},
    {HEAD TAIL "pools: [{name: p, gpu: H100, mig: {configs: [{name: a, perGPU: {1g.10gb: 1.5}}]}}]\n", "P004", 5, 74,
        "must be a whole number"},
    {HEAD TAIL "pools: [{name: p, gpu: H100, mig: {configs: [{name: a, perGPU: {1g.10gb: 8}}]}}]\n", "P008", 5, 74,
        "1 to 7"},
    {HEAD TAIL "pools: [{name: p, gpu: H100, mig: {maxNodes: 1}}]\n", "P005", 5, 35, "mig has no \"configs\""},
    {HEAD TAIL "pools: [{name: p, gpu: H100, mig: {configs: [{name: a, perGPU: {1g.10gb: 7}},\n"
               "  {name: a, perGPU: {1g.10gb: 6}}]}}]\n",
        "P013", 6, 10, "mig.configs[1].name \"a\" is also in line 5"},
    {HEAD TAIL "pools: [{name: p, gpu: H100, mig: {configs: [{name: a, perGPU: {1g.10gb: 7}}], idleFor: 1h, backAfter: "
               "1h}}]\n",
        "P020", 5, 89, "idleFor has no effect: backAfter is not longer"},
};

static void show_problems(const struct policy_report *report)
{
	for (size_t i = 0; i < report->count; i++)
		print_error("  %u:%u: %s %s\n", report->problems[i].mark.line, report->problems[i].mark.column,
		    report->problems[i].code, report->problems[i].text);
}

static void test_each_case_has_its_problem(void **state)
{
	bool provoked[PROBLEM_COUNT] = {false};
	size_t wrong = 0;

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		const struct case_ *c = &cases[i];
		struct policy_report report;
		struct policy *policy = policy_load(slice_of(c->text), test_catalogue(), &report);
		const struct policy_problem *problem = report.problems;

		if (report.count != 1 || strcmp(problem->code, c->code) != 0 || problem->mark.line != c->line ||
		    problem->mark.column != c->column || !strstr(problem->text, c->says) ||
		    (policy != NULL) != problem->warning || report.errors + report.warnings != 1) {
			print_error("case %zu: %s at %u:%u \"%s\" due for\n%s\nbut there is\n", i, c->code, c->line,
			    c->column, c->says, c->text);
			show_problems(&report);
			wrong++;
		}
		for (size_t j = 0; j < PROBLEM_COUNT; j++)
			provoked[j] |= report.count > 0 && strcmp(problem_code((enum problem)j), problem->code) == 0;
		policy_free(policy);
		policy_report_free(&report);
	}
	assert_int_equal(wrong, 0);
	for (size_t j = 0; j < PROBLEM_COUNT; j++)
		if (!provoked[j])
			fail_msg("no case for %s", problem_code((enum problem)j));
}

/* Each is known to a later version, and none may be taken for a slip of another key. */
static void test_later_keys_are_refused_by_name(void **state)
{
	static const char *const texts[] = {
	    HEAD TAIL "mode: advise\n",
	};

	(void)state;
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		struct policy_report report;

		assert_null(policy_load(slice_of(texts[i]), test_catalogue(), &report));
		assert_int_equal(report.count, 1);
		assert_string_equal(report.problems[0].code, "P002");
		assert_non_null(strstr(report.problems[0].text, "not known by this version"));
		assert_null(strstr(report.problems[0].text, "Did you mean"));
		policy_report_free(&report);
	}
}

static void test_plain_scalars(void **state)
{
	static const char *const strings[] = {
	    "a", "1.2.3", "7b", "nope", "on-call", "0x", "1e", ".", "-", "e3", "1-2", "null0"};
	static const char *const others[] = {"yes", "No", "ON", "off", "True", "n", "1", "-1", "+1", "1.5", "1.", ".5",
	    "1e3", "1_000", "0x1F", "0o17", "010", ".inf", "-.INF", ".NaN", "1:30", "190:20:30.15", "null", "~"};
	char text[256];

	(void)state;
	for (size_t i = 0; i < (sizeof strings + sizeof others) / sizeof *strings; i++) {
		bool string = i < sizeof strings / sizeof *strings;
		const char *scalar = string ? strings[i] : others[i - sizeof strings / sizeof *strings];
		struct policy_report report;

		snprintf(text, sizeof text, HEAD "classes: [{name: %s}, {name: c}]\nfallback: c\n", scalar);
		policy_free(policy_load(slice_of(text), NULL, &report));
		for (size_t j = 0; j < report.count; j++)
			if (strcmp(report.problems[j].code, "P006") == 0 ||
			    strcmp(report.problems[j].code, "P004") == 0)
				if (string)
					fail_msg("%s is taken for %s", scalar, report.problems[j].text);
		if (!string && (report.count != 1 || report.problems[0].mark.column != 18))
			fail_msg("%s is taken for a string", scalar);
		policy_report_free(&report);
	}
}

/* One name that cannot be read must not make a dangling one of each use. */
static void test_follow_ups_are_not_reported(void **state)
{
	struct policy_report report;

	(void)state;
	assert_null(policy_load(
	    slice_of(HEAD "pools: [{name: 1, gpu: T4}]\nclasses: [{name: c, prefer: [\"1\"]}]\nfallback: c\n"),
	    test_catalogue(), &report));
	assert_int_equal(report.count, 1);
	policy_report_free(&report);
	/* A pool that is not defined is not said to be missing in "only" as well. */
	assert_null(
	    policy_load(slice_of(HEAD "pools: [{name: p, gpu: T4}]\nclasses: [{name: d, only: [p], prefer: [q]}, "
	                              "{name: c}]\nfallback: c\n"),
	        test_catalogue(), &report));
	assert_int_equal(report.count, 1);
	policy_report_free(&report);
}

static void test_report_is_capped_and_sorted(void **state)
{
	struct policy_report report;
	struct buf text, out;

	(void)state;
	buf_init(&text, 1u << 20);
	buf_text(&text, HEAD "classes:\n");
	for (int i = 0; i < 30; i++)
		buf_printf(&text, "- {name: c%d, match: [{owners: [Job]}]}\n", i);
	for (int i = 0; i < 30; i++)
		buf_text(&text, "- {name: .}\n");
	buf_text(&text, "fallback: c1\n");
	assert_null(policy_load(buf_slice(&text), test_catalogue(), &report));
	assert_int_equal(report.errors, 30);
	assert_int_equal(report.warnings, 29);
	assert_int_equal(report.count, POLICY_PROBLEMS_MAX);
	for (size_t i = 0; i < report.count; i++) {
		assert_false(report.problems[i].warning);
		assert_int_equal(report.problems[i].mark.line, 34 + i);
	}
	buf_init(&out, 1u << 20);
	policy_report_text(&report, "policy.yaml", buf_slice(&text), false, &out);
	assert_non_null(strstr(out.data, "\n… and 39 more\npolicy.yaml: 30 errors, 29 warnings\n"));
	buf_clear(&out);
	policy_report_line(&report, "policy.yaml", &out);
	assert_memory_equal(out.data, "policy.yaml:34:10: P010: classes[30].name \".\" is no name", 50);
	buf_free(&out);
	buf_free(&text);
	policy_report_free(&report);
}

static void test_size_is_bounded(void **state)
{
	size_t size = POLICY_TEXT_MAX + 1;
	char *text = xmalloc(size);
	struct policy_report report;

	(void)state;
	memset(text, '\n', size);
	assert_null(policy_load((struct slice){text, size}, NULL, &report));
	assert_string_equal(report.problems[0].text, "the policy is larger than 1048576 bytes");
	policy_report_free(&report);
	assert_null(policy_load((struct slice){text, size - 1}, NULL, &report));
	assert_string_equal(report.problems[0].text, "the policy is empty");
	policy_report_free(&report);
	free(text);
}

static void test_readme_lists_the_codes(void **state)
{
	struct buf readme;

	(void)state;
	read_source("src/policy/README.md", &readme);
	for (size_t i = 0; i < PROBLEM_COUNT; i++) {
		char line[256];

		snprintf(line, sizeof line, "| %s | %s | %s |\n", problem_code((enum problem)i),
		    problem_is_warning((enum problem)i) ? "warning" : "error", problem_text((enum problem)i));
		if (!strstr(readme.data, line))
			fail_msg("README.md has no line %s", line);
	}
	buf_free(&readme);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_each_case_has_its_problem),
	    cmocka_unit_test(test_later_keys_are_refused_by_name),
	    cmocka_unit_test(test_plain_scalars),
	    cmocka_unit_test(test_follow_ups_are_not_reported),
	    cmocka_unit_test(test_report_is_capped_and_sorted),
	    cmocka_unit_test(test_size_is_bounded),
	    cmocka_unit_test(test_readme_lists_the_codes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
