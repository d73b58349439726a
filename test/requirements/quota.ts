import type { Requirements } from './requirement.ts'

/** How much (behaviour §3). */
export const quota: Requirements = {
  'QUO-1': {
    source: 'issue 3, field §1.31, §1.33',
    when: 'several processes share a limit; messages are lost, late or doubled, processes die, clocks differ and jump',
    observed: 'in every window what was admitted is never above the limit, at any moment',
  },
  'QUO-2': {
    source: 'issue 3',
    when: 'a process dies, or a reply of the store is lost',
    observed: 'what it held is written off until the window ends: admitted plus written off is exactly the limit',
  },
  'QUO-3': {
    source: 'issue 3',
    when: 'demand is enough, even or by one process alone while others hold leases',
    observed: 'exactly the limit is admitted: unused leases are returned for other requests',
  },
  'QUO-4': {
    source: 'issue 3',
    when: 'a provider used more than was reserved',
    observed: 'the excess is counted in its window, later if the store is out of reach, and nothing more is admitted until it is paid',
  },
  'QUO-5': {
    source: 'issue 3',
    when: 'requests that run at a time are limited over several processes',
    observed: 'never more run than the limit allows, and any process can use all free slots',
  },
  'QUO-6': {
    source: 'issue 3',
    when: 'a process that holds slots dies, is stopped or loses the store',
    observed: 'its slots are free again when its hold has run out, and from then on it admits none itself',
  },
  'QUO-7': {
    source: 'issue 3',
    when: 'counts are in memory, SQLite, PostgreSQL or Redis, and many ask at once',
    observed: 'every step is atomic, and all four return the same',
  },
  'QUO-8': {
    source: 'issue 3',
    when: 'a process’s clock is behind',
    observed: 'it finds the counts of past windows for a minute to an hour, and after that is refused, never let through uncounted',
  },
  'QUO-9': {
    source: 'design §3.13, §5',
    when: 'a request is counted',
    observed: 'without waiting where leases suffice; a refusal names the exhausted counters, for how long, and whether it is permanent',
  },
  'QUO-10': {
    source: 'issue 3, behaviour §3 defect (j)',
    when: 'limits are per second, minute, hour, day, week or month',
    observed: 'windows follow the calendar in UTC; what is settled late gives nothing to the next window',
  },
  'QUO-11': {
    source: 'issue 3, field §1.34',
    when: 'a request is subject to several limits',
    observed: 'it takes of all or of none, and requests never wait for one another in a circle',
  },
  'QUO-12': {
    source: 'field §1.36, §1.38',
    when: 'subjects come and go, windows pass',
    observed: 'what is over is deleted: in memory, in tables (in batches), in Redis',
  },
  'QUO-13': {
    source: 'design §3.13, field §1.35',
    when: 'many requests are counted',
    observed: 'the store is asked a few times: leases grow with demand, and go back when they lie unused, or when the process ends',
  },
  'QUO-14': {
    source: 'issue 3',
    when: 'the store is out of reach, slow or silent',
    observed: '503 or uncounted as configured; leases at hand are used; few questions, bounded waiting, and all is well when it is back',
  },
  'QUO-15': {
    source: 'behaviour §6.2',
    when: 'a Redis has users, passwords, TLS',
    observed: 'they are used, and a password is in no error',
  },
  'QUO-16': {
    source: 'issue 3',
    when: 'real processes share a real store, one of them is killed with kill -9',
    observed: 'admitted is the limit; after a kill at most that, and the difference at most what the killed one held',
  },
  'QUO-30': {
    source: 'behaviour §3',
    when: 'a file has Llama Stack’s `server.quota`, with its `kvstore` or the older inline store',
    observed: 'it means what it means there: 100 and 1000 requests a day; any period will do',
  },
  'QUO-31': {
    source: 'behaviour §3 defect (a)',
    when: 'callers authenticate',
    observed: 'the quota comes after authentication and counts by principal, with the authenticated limit',
  },
  'QUO-32': {
    source: 'behaviour §3 defect (b)',
    when: 'counts are stored',
    observed: 'under hashes of limit, subject and unit, never under a token or a name',
  },
  'QUO-33': {
    source: 'issue 3',
    when: 'a limit is `per` global, key, user, team, model, provider, address or any attribute',
    observed: 'each of them is counted by itself, and lacking what a limit goes by is no way around it',
  },
  'QUO-34': {
    source: 'design §5, behaviour §3 defect (g)',
    when: 'a limit has no room',
    observed:
      '429 that names it: with `Retry-After` where that helps within a minute, else `insufficient_quota` and `x-should-retry: false`',
  },
  'QUO-35': {
    source: 'design §5, behaviour §3 defect (g)',
    when: 'a caller has limits on requests or tokens',
    observed: 'every response carries the tightest as `x-ratelimit-limit|remaining|reset-…`, in OpenAI’s formats',
  },
  'QUO-36': {
    source: 'behaviour §3 defect (h)',
    when: 'callers come through a proxy',
    observed: 'the address is what configured proxies say, else the connection’s; an IPv6 network counts as one',
  },
  'QUO-37': {
    source: 'behaviour §3 defect (c), issue 3',
    when: 'many requests come at once near a limit',
    observed: 'what is admitted never exceeds it, and reaches it',
  },
  'QUO-38': {
    source: 'behaviour §3 defects (d), (i), (j)',
    when: 'a period ends: second, minute, hour, day, week, month',
    observed: 'the count begins anew, not earlier and not later',
  },
  'QUO-39': {
    source: 'behaviour §3 defect (e)',
    when: 'a request is refused for want of quota',
    observed: 'it is not counted',
  },
  'QUO-40': {
    source: 'issue 3',
    when: 'a request names `max_tokens`, `max_completion_tokens`, `n`, `best_of` or none of them',
    observed: 'so many output tokens are reserved at worst',
  },
  'QUO-41': {
    source: 'issue 3',
    when: 'a request brings text, tools, images, sound or files',
    observed: 'at least as many input tokens are reserved as any tokenizer counts of its text',
  },
  'QUO-42': {
    source: 'behaviour §3 defect (f)',
    when: 'health and other public routes, preflights, and what the server or a provider fails',
    observed: 'they are not counted',
  },
  'QUO-43': {
    source: 'issue 3, behaviour §3',
    when: 'the store of counts is out of reach',
    observed: '503 with Retry-After, or requests pass, as configured; never 500',
  },
  'QUO-44': {
    source: 'issue 3',
    when: 'nothing is limited',
    observed: 'nothing is counted, and no header is added',
  },
  'QUO-45': {
    source: 'issue 3',
    when: 'requests, input, output, total tokens or dollars are limited, per second to month',
    observed: 'each holds, whatever the period',
  },
  'QUO-46': {
    source: 'issue 3',
    when: 'a limit has conditions, models or providers',
    observed: 'it concerns those alone',
  },
  'QUO-47': {
    source: 'issue 3',
    when: 'a key has limits of its own',
    observed: 'they hold beside the configuration’s',
  },
  'QUO-48': {
    source: 'issue 3, field §1.17',
    when: 'a response ends: whole, streamed, cancelled, cut off, failed',
    observed: 'its reservation is settled to what was used; unreported usage is estimated and marked so',
  },
  'QUO-49': {
    source: 'issue 3',
    when: 'requests that run at once are limited',
    observed: 'each holds its place until its end, a stream’s included, and leaves it whatever happens',
  },
  'QUO-50': {
    source: 'issue 3, field §1.37',
    when: 'tokens are priced',
    observed: 'whole billionths of a dollar, every token once, never negative; the worst case is never less than the cost',
  },
  'QUO-51': {
    source: 'issue 3',
    when: 'the configuration has prices',
    observed: 'they go before the catalogue’s',
  },
  'QUO-52': {
    source: 'issue 3',
    when: 'a provider runs on the operator’s own machines',
    observed: 'its tokens cost nothing unless the configuration says otherwise',
  },
  'QUO-53': {
    source: 'field §1.37',
    when: 'vendors tell usage in their own ways',
    observed: 'cached and reasoning tokens are parts of the whole, and counted once',
  },
  'QUO-54': {
    source: 'issue 3',
    when: 'dollars are limited',
    observed:
      'what is used up is refused until the period ends; a model without a price is refused with the remedy; what costs nothing runs on',
  },
  'QUO-55': {
    source: 'field §1.37',
    when: 'a provider says what it charges',
    observed: 'that is the cost, where the provider is known to say it in dollars',
  },
  'QUO-56': {
    source: 'design §5',
    when: 'OpenAI’s own client meets a limit',
    observed: 'it gives up at once where the quota is used up, and comes again by itself where that helps',
  },
  'QUO-57': {
    source: 'issue 3',
    when: 'responses have been sent',
    observed: 'each has its line in the ledger: request, key, model, tokens, price; the sums add up by key, user, team, model and provider',
  },
  'QUO-58': {
    source: 'issue 3',
    when: 'the ledger’s database is out of reach, or the server stops',
    observed: 'lines are kept and written later, once each; lost lines are counted and reported',
  },
  'QUO-59': {
    source: 'issue 3',
    when: 'any sequence of requests with any usage',
    observed: 'the ledger’s sum is what was settled, and what was admitted never exceeds a limit',
  },
  'QUO-60': {
    source: 'issue 3',
    when: 'no store for counts is configured',
    observed: 'processes that serve together share them; those of a day and longer outlive a single process',
  },
}
