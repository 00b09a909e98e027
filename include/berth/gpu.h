/* What is known of GPUs as products: the catalogue of models and MIG profiles, and the resource names that count as
 * GPUs. Pure data, filled from config/gpus.yaml (and a file of the user's) by cluster/catalogue; it outlives what
 * points into it. */
#ifndef BERTH_GPU_H
#define BERTH_GPU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "berth/slice.h"

/* Number formats a GPU computes in, as a mask. */
enum dtype { DTYPE_FP64, DTYPE_FP32, DTYPE_TF32, DTYPE_BF16, DTYPE_FP16, DTYPE_FP8, DTYPE_INT8, DTYPE_COUNT };
#define DTYPE_BIT(dtype) (1u << (dtype))

/* DTYPE_COUNT when there is none of that name. */
enum dtype dtype_named(struct slice name);
const char *dtype_name(enum dtype dtype);

/* Suitability, as the catalogue says it. */
enum gpu_suit { GPU_TRAINING = 1, GPU_INFERENCE = 2, GPU_SMALL = 4 };

struct gpu_profile {
	const char *name;   /* "1g.10gb" */
	uint8_t compute;    /* of 7, or of 4 */
	uint8_t slices;     /* memory slices taken */
	int32_t memory_mib; /* real memory of the instance */
	uint8_t start_count;
	uint8_t starts[8]; /* memory slices it may begin at */
	uint8_t max;       /* at most so many on one GPU */
};

struct gpu_model {
	const char *name;    /* what a pool says: "H100" */
	const char *variant; /* one product of that name: "H100-SXM" or the same as name */
	size_t product_count;
	const char **products;                /* label values, longest known prefix wins: "NVIDIA-H100-80GB-HBM3" */
	int32_t memory_mib;                   /* of one GPU */
	uint8_t compute_major, compute_minor; /* CUDA compute capability; 0.0 for other vendors */
	uint32_t dtypes;
	uint32_t suits;
	double tflops;  /* dense FP16/BF16 peak; 0 unknown */
	double cost;    /* relative cost of a GPU-hour; > 0 */
	uint8_t slices; /* memory slices for MIG: 0, 4 or 8 */
	size_t profile_count;
	struct gpu_profile *profiles;
};

/* How one unit of a resource counts. */
enum gpu_unit {
	GPU_WHOLE,
	GPU_SHARE, /* a time slice, an MPS client: `replicas` of them make one GPU */
	GPU_SLICE, /* a MIG instance */
};

/* A vendor's resource and the node labels that tell of it. Patterns may hold one '*': "nvidia.com/mig-*". */
struct gpu_resource {
	const char *pattern;
	enum gpu_unit unit;
	const char *product_label, *memory_label, *count_label, *replicas_label; /* NULL = none */
	const char *sharing_label; /* says "mps" where each share has its part of the memory, too; NULL = none */
	int64_t memory_unit_mib_num, memory_unit_mib_den; /* memory label's unit in MiB: MiB 1/1, GiB 1024/1 */
};

struct gpu_catalogue {
	size_t model_count;
	struct gpu_model *models;
	size_t resource_count;
	struct gpu_resource *resources;
};

/* The resource entry a resource name falls under, or NULL: it is no GPU. The first that matches. */
const struct gpu_resource *gpu_resource_named(const struct gpu_catalogue *catalogue, struct slice name);
/* The model whose known product is the longest prefix of the product label, once -MIG-… and -SHARED were stripped. */
const struct gpu_model *gpu_model_of_product(const struct gpu_catalogue *catalogue, struct slice product);
/* Whether any model has this name. */
bool gpu_model_named(const struct gpu_catalogue *catalogue, struct slice name);
const struct gpu_profile *gpu_model_profile(const struct gpu_model *model, struct slice profile);
/* What a CUDA compute capability proves: bf16 and tf32 from 8.0, fp8 from 8.9, int8 from 6.1, fp16 from 5.3. */
uint32_t gpu_dtypes_of_compute(int major, int minor);

#endif
