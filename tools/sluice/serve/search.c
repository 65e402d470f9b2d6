/* SPDX-License-Identifier: MIT */
#include "serve/search.h"

#include "serve/view.h"
#include "serve/worker.h"

/* What the connection waits for; when it is called, only that is still to be checked. */
enum search_stage {
	SEARCH_TARGET,
	SEARCH_REWRITE,
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

/* Which form of the file the request asks for. */
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

/* Whether a lookup has to be waited for; remembers which. */
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
	/* A client that refuses plain files still gets a plain error. */
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

/* Looks up the file that replaces the target. False: it has to be waited for. */
static bool find_rewritten(struct connection *connection, const struct request *request,
			   uint16_t status, struct found *ret_found)
{
	const struct buffer *url = &connection->worker->target;
	struct span path = {url->base, url->length};
	const char *query = memchr(path.at, '?', path.length);
	bool found;

	if (query != NULL)
		path.length = (size_t)(query - path.at);
	connection->answer_status = status == 200 ? 0 : status;
	found = filecache_find(connection->worker->cache, path, encodings_of(connection, request),
			       &connection->waiter, ret_found);
	ret_found->answer_status = connection->answer_status;
	return !waits(connection, SEARCH_REWRITE, found);
}

/* Applies the redirects of the site. False: the replacement has to be waited for. */
static bool redirect(struct connection *connection, const struct request *request,
		     const struct target *target, bool forced, enum search_stage *stage,
		     struct found *found)
{
	struct worker *worker = connection->worker;
	char path[RESOLVE_PATH_MAX];
	size_t length;
	int status;

	if (resolve_path(target->path, options_of(connection)->dotfiles, path, &length) != 0)
		return true;
	status = rules_redirect(worker->rules, (struct span){path, length}, target->query, forced,
				&worker->target);
	if (status == 0 || worker->target.failed)
		return true;
	*stage = SEARCH_REWRITE;
	if (status == 200 || status == 404)
		return find_rewritten(connection, request, (uint16_t)status, found);
	*found = (struct found){
		.status = status,
		.url = {worker->target.base, worker->target.length},
	};
	return true;
}

/* Whether a path has neither a file nor a redirect of its own. */
static bool is_missing(const struct found *found)
{
	return found->status == 404 || found->no_index ||
	       (found->status == 200 && found->entry->is_listing);
}

/* The target itself is not a file. False: the replacement has to be waited for. */
static bool search_further(struct connection *connection, const struct request *request,
			   const struct target *target, enum search_stage stage,
			   struct found *found)
{
	if (stage == SEARCH_TARGET && is_missing(found) &&
	    rules_have_redirects(connection->worker->rules) &&
	    !redirect(connection, request, target, false, &stage, found))
		return false;
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
		if (stage == SEARCH_REWRITE)
			ret_found->answer_status = connection->answer_status;
	} else {
		bool forced = rules_have_forced(connection->worker->rules);

		if (forced && !redirect(connection, request, target, true, &stage, ret_found))
			return false;
		if (stage == SEARCH_TARGET &&
		    waits(connection, stage,
			  filecache_find(connection->worker->cache, target->path,
					 view_of(connection, request, target), &connection->waiter,
					 ret_found)))
			return false;
	}
	if (ret_found->status == 200 && !ret_found->entry->is_listing)
		return true;
	return search_further(connection, request, target, stage, ret_found);
}
