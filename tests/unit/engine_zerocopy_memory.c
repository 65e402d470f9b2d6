/* SPDX-License-Identifier: MIT */
/* Zero copy out of registered memory. */
#include "engine_zerocopy.h"

#include <errno.h>

static uint64_t region_of_last(void)
{
	return scripted.requests[scripted.request_count - 1].region;
}

static void send_list(struct pair *pair, struct operation *operation, struct iovec one,
		      struct iovec other)
{
	struct iovec list[] = {one, other};

	operation_init(operation, &fixture);
	cr_assert_eq(sluice_args_set_buffer_list(&operation->args, list, 2), 0);
	cr_assert_eq(start(sluice_send_async, pair->socket, operation), 1);
	run();
}

SCRIPTED_TEST(memory, what_lies_wholly_in_one_registered_memory_is_sent_from_there, begin_zerocopy)
{
	struct operation operation;

	cr_assert_eq(sluice_engine_register_memory(fixture.engine, pattern + 1000, 5000), 0);
	cr_assert_eq(sluice_engine_register_memory(fixture.engine, pattern + 20000, 5000), 0);
	operation_init(&operation, &fixture);
	cr_assert(goes(pair, &operation, 10));
	cr_assert_eq(region_of_last(), 0);
	scripted_answer(fly(pair->socket, &operation, 1000, 5000), 5000);
	cr_assert_eq(region_of_last(), 1);
	run();
	scripted_answer(fly(pair->socket, &operation, 20001, 4999), 4999);
	cr_assert_eq(region_of_last(), 2);
	run();
	scripted_answer(fly(pair->socket, &operation, 20001, 5000), 5000);
	cr_assert_eq(region_of_last(), 0);
	run();
	scripted_answer(fly(pair->socket, &operation, 999, 10), 10);
	cr_assert_eq(region_of_last(), 0);
	run();
	cr_assert_eq(statistics().zerocopy_registered, 2);
}

SCRIPTED_TEST(memory, lists_lie_in_one_memory_or_in_none, begin_zerocopy)
{
	struct operation operation;

	cr_assert_eq(sluice_engine_register_memory(fixture.engine, pattern, 5000), 0);
	cr_assert_eq(sluice_engine_register_memory(fixture.engine, pattern + 5000, 5000), 0);
	send_list(pair, &operation, segment(pattern + 5000, 10), segment(pattern + 9000, 1000));
	cr_assert_eq(region_of_last(), 2);
	scripted_answer(flying(), 1010);
	run();
	send_list(pair, &operation, segment(pattern, 10), segment(pattern + 9000, 10));
	cr_assert_eq(region_of_last(), 0);
	scripted_answer(flying(), 20);
	run();
}

SCRIPTED_TEST(memory, where_lists_cannot_be_sent_from_it_they_go_without, begin_zerocopy)
{
	struct operation operation;

	cr_assert_eq(sluice_engine_register_memory(fixture.engine, pattern, 5000), 0);
	let_go(taken(pair->socket, &operation, 0, 100));
	send_list(pair, &operation, segment(pattern, 10), segment(pattern + 10, 10));
	cr_assert_eq(region_of_last(), 1);
	scripted_answer(flying(), -EINVAL);
	run();
	run();
	cr_assert_eq(region_of_last(), 0);
	scripted_answer(flying(), 20);
	run();
	assert_ended(&operation, SLUICE_ERROR_SUCCESS, 20);
	cr_assert_not(statistics().capabilities & SLUICE_CAPABILITY_REGISTERED_LISTS);
	cr_assert(statistics().capabilities & SLUICE_CAPABILITY_ZEROCOPY);
	send_list(pair, &operation, segment(pattern, 10), segment(pattern + 10, 10));
	cr_assert_eq(region_of_last(), 0);
	scripted_answer(flying(), 20);
	run();
}

SCRIPTED_TEST(memory, registered_memory_is_worth_it_sooner, begin_auto)
{
	struct operation operation;

	train(pair);
	operation_init(&operation, &fixture);
	cr_assert_not(goes(pair, &operation, 8192));
	cr_assert_eq(sluice_engine_register_memory(fixture.engine, pattern, sizeof pattern), 0);
	cr_assert(goes(pair, &operation, 8192));
	cr_assert_eq(start_send(pair->socket, &operation, pattern, 8192), 1);
	cr_assert_not(scripted.requests[scripted.request_count - 1].handed_over);
	cr_assert_eq(sluice_engine_unregister_memory(fixture.engine, pattern), 0);
	cr_assert(scripted.requests[scripted.request_count - 1].handed_over,
		  "a request names memory that is gone");
	cr_assert_null(scripted.regions[0].iov_base);
	scripted_answer(flying(), 8192);
	run();
	cr_assert_not(goes(pair, &operation, 8192));
}

SCRIPTED_TEST(memory, what_the_kernel_does_not_pin_is_not_registered, begin_zerocopy)
{
	struct operation operation;

	scripted.register_answer = -ENOMEM;
	cr_assert_eq(sluice_engine_register_memory(fixture.engine, pattern, SIZE), -ENOMEM);
	cr_assert_eq(sluice_engine_unregister_memory(fixture.engine, pattern), -ENOENT);
	operation_init(&operation, &fixture);
	cr_assert(goes(pair, &operation, SIZE));
	cr_assert_eq(region_of_last(), 0);
}

Test(memory, masked_it_is_accepted_and_not_used)
{
	struct sluice_options options =
		options_of(SLUICE_TRANSMIT_WAY_ZEROCOPY, SLUICE_ZEROCOPY_AUTO);
	struct operation operation;
	struct pair pair;

	options.disable = SLUICE_CAPABILITY_REGISTERED_MEMORY;
	begin_with(&options, &pair);
	cr_assert_eq(sluice_engine_register_memory(fixture.engine, pattern, SIZE), 0);
	cr_assert_null(scripted.regions[0].iov_base);
	operation_init(&operation, &fixture);
	cr_assert(goes(&pair, &operation, SIZE));
	cr_assert_eq(region_of_last(), 0);
	cr_assert_eq(sluice_engine_unregister_memory(fixture.engine, pattern), 0);
	end_over(&pair);
}
