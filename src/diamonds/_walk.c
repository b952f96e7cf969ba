/* Boosted trees for one row at a time, plain C; walk.py loads it and makes the arguments ready. */

#include <stdint.h>

/* So many trees go down side by side: while one waits for its node to come from memory, the others go on. */
#define ABREAST 16

typedef struct {
    const void *nodes;
    int32_t trees;
} Forest;

/* The roots are the first nodes. A leaf is below itself and compares with NaN, the first of the row, so that it leads
 * to itself. Leaves are added in the order of the trees, in numbers of their own kind: in any other way the last bit
 * would not be that of the library that grew them. */
#define WALK(name, kind)                                                                                               \
    typedef struct {                                                                                                   \
        kind number; /* what an inner node compares with; what a leaf adds */                                          \
        int32_t below;                                                                                                 \
        int32_t column;                                                                                                \
    } name##_node;                                                                                                     \
                                                                                                                       \
    kind name(const Forest *forest, const kind *row) {                                                                 \
        const name##_node *nodes = forest->nodes;                                                                      \
        kind sum = 0;                                                                                                  \
        for (int32_t first = 0; first < forest->trees; first += ABREAST) {                                             \
            int32_t at[ABREAST], moved, left = forest->trees - first, count = left < ABREAST ? left : ABREAST;         \
            for (int32_t i = 0; i < ABREAST; i++) at[i] = first + (i < count ? i : 0);                                 \
            do {                                                                                                       \
                moved = 0;                                                                                             \
                for (int32_t i = 0; i < ABREAST; i++) {                                                                \
                    const name##_node *node = nodes + at[i];                                                           \
                    int32_t next = node->below + (row[node->column] >= node->number);                                  \
                    moved |= next ^ at[i];                                                                             \
                    at[i] = next;                                                                                      \
                }                                                                                                      \
            } while (moved);                                                                                           \
            for (int32_t i = 0; i < count; i++)                                                                        \
                sum = first + i ? sum + nodes[at[i]].number : nodes[at[i]].number;                                     \
        }                                                                                                              \
        return sum;                                                                                                    \
    }

WALK(walk_float, float)
WALK(walk_double, double)
