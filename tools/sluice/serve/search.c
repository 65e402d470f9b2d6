/* SPDX-License-Identifier: MIT */
#include "serve/search.h"

#include "serve/view.h"
#include "serve/worker.h"

/* What the connection waits for; only that is still to be looked at when it is called. */
enum search_stage {
	SEARCH_TARGET,
	SEARCH_ERROR_PAGE,
};

static const struct serve_options *options_of(const struct connection *connection)
{
	return connection->worker->server->options;
}

static uint32_t encodings_of(const struct connection *connection, const struct request *request)
{
	if (request->accept_encoding.at == NULL || options_of(connection)->no_precompressed)
		return 0;
	return negotiate_encodings(request->accept_encoding);
}

/* Which form of what stands at the path the request asks for. */
static uint32_t view_of(const struct connection *connection, const struct request *request,
			const struct target *target)
{
	uint32_t view = encodings_of(connection, request);
	struct listing_view listing;

	if (target->path.at[target->path.length - 1] != '/')
		return view;
	listing = listing_read_query(target->query);
	listing.json = listing_wants_json(request->accept);
	return view_with_listing(view, listing);
}

/* Whether a look has to be waited for; remembers what for. */
static bool waits(struct connection *connection, enum search_stage stage, bool found)
{
	connection->waiting = !found;
	connection->stage = (uint8_t)stage;
	return !found;
}

/* False: it has to be waited for. */
static bool find_error_page(struct connection *connection, const struct request *request,
			    const struct target *target, struct found *ret_found)
{
	/* A client that refuses plain files gets a plain error all the same. */
	uint32_t view = encodings_of(connection, request) & ~(uint32_t)ENCODINGS_WITHOUT_IDENTITY;
	char path[RESOLVE_PATH_MAX];
	size_t length;
	bool found;

	if (resolve_path(target->path, options_of(connection)->dotfiles, path, &length) != 0)
		return true;
	while (path[length - 1] != '/')
		length--;
	path[length] = '\0';
	found = filecache_find_plain(connection->worker->cache, (struct span){path, length},
				     view | VIEW_ERROR_PAGE, &connection->waiter, ret_found);
	return !waits(connection, SEARCH_ERROR_PAGE, found);
}

/* What is found for the target itself is not there. False: it has to be waited for. */
static bool search_further(struct connection *connection, const struct request *request,
			   const struct target *target, enum search_stage stage,
			   struct found *found)
{
	if (found->status == 404 && stage < SEARCH_ERROR_PAGE)
		return find_error_page(connection, request, target, found);
	return true;
}

bool search_run(struct connection *connection, const struct request *request,
		const struct target *target, struct found *ret_found)
{
	enum search_stage stage = SEARCH_TARGET;

	if (connection->has_found) {
		connection->has_found = false;
		*ret_found = connection->found;
		stage = (enum search_stage)connection->stage;
	} else if (waits(connection, stage,
			 filecache_find(connection->worker->cache, target->path,
					view_of(connection, request, target), &connection->waiter,
					ret_found))) {
		return false;
	}
	return ret_found->status == 200 ||
	       search_further(connection, request, target, stage, ret_found);
}
