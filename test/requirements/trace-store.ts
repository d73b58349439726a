import type { Requirements } from './requirement.ts'

/** Traces on this machine, and who may read them. */
export const traceStore: Requirements = {
  'TST-1': {
    source: 'docs/trace-store.md',
    when: 'traces are older than the store keeps, or take more than it may',
    observed: 'the oldest are deleted, with their spans, and the file becomes smaller',
  },
  'TST-2': {
    source: 'docs/trace-store.md',
    when: 'the writer is killed, or several processes write one file',
    observed: 'the file stays valid, and every batch that was written is there whole',
  },
  'TST-3': {
    source: 'docs/trace-store.md',
    when: 'the disk is full, or the file is gone, another program’s or a newer version’s',
    observed: 'writing fails with a reason and works again once there is room; the file of another is not touched',
  },
  'TST-4': {
    source: 'issue "A local trace store"; docs/trace-store.md',
    when: 'somebody looks for a request with `corral traces`, or follows them with `corral traces tail`',
    observed: 'lists by failure, slowness, key, model, user, request id and time, as a table or JSON lines',
  },
  'TST-5': {
    source: 'issue "A local trace store"; docs/trace-store.md',
    when: '`corral traces show` is given a trace id, a request id or the beginning of one',
    observed:
      'the tree with timings, what came in, what went to which provider, what came back, who refused; nothing that moves the cursor',
  },
  'TST-6': {
    source: 'llama-stack-seed-experimental.yaml; docs/trace-store.md',
    when: 'traces, spans, trees of spans and sums of tokens are requested at Llama Stack’s telemetry routes',
    observed: 'they come from the store in its wire formats, filtered, ordered and cut as asked',
  },
  'TST-7': {
    source: 'behaviour §2.5; docs/trace-store.md',
    when: 'authenticated callers read telemetry',
    observed:
      'without the scope `telemetry.read` 403; with it their own traces and what the access policy permits, others as if they were not there',
  },
  'TST-8': {
    source: 'llama-stack-seed.yaml; docs/trace-store.md',
    when: 'a caller logs an event at `POST /v1/telemetry/events`',
    observed: 'it becomes a span of the caller’s own in the store, bounded in size and time',
  },
}
