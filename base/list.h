#pragma once
/* An intrusive doubly linked list. A zeroed link is in no list; list_remove is legal on it. */

#include "base/attrs.h"
#include <stdbool.h>

struct list_link {
    struct list_link *prev, *next;
};

struct list {
    struct list_link head;
};

static inline void list_init(struct list *l)
{
    l->head.prev = l->head.next = &l->head;
}

static inline bool list_empty(const struct list *l)
{
    return l->head.next == &l->head;
}

static inline void list_insert_before(struct list_link *position, struct list_link *link)
{
    link->prev = position->prev;
    link->next = position;
    position->prev->next = link;
    position->prev = link;
}

static inline void list_append(struct list *l, struct list_link *link)
{
    list_insert_before(&l->head, link);
}

static inline void list_remove(struct list_link *link)
{
    if (!link->next)
        return;
    link->prev->next = link->next;
    link->next->prev = link->prev;
    link->prev = link->next = NULL;
}

static inline bool list_linked(const struct list_link *link)
{
    return link->next != NULL;
}

/* Visits each object of @type linked by @member; the object may be removed while visited. */
#define LIST_FOR_EACH(variable, l, type, member)                                                             \
    for (struct list_link *link_ = (l)->head.next, *next_ = link_->next;                                     \
         link_ != &(l)->head && ((variable) = CONTAINER_OF(link_, type, member));                            \
         link_ = next_, next_ = next_->next)
