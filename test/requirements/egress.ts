import type { Requirements } from './requirement.ts'

/** The way out. */
export const egress: Requirements = {
  'EGR-1': {
    source: 'issue; field §2.1',
    when: 'a caller names a URL whose host is, or resolves to, an address that is not on the public internet, however it is spelled',
    observed: '400 `url_not_allowed`, and no connection is made',
  },
  'EGR-2': {
    source: 'issue; field §2.1 (CVE-2026-45400)',
    when: 'a name resolves to another address the second time it is asked',
    observed: 'it is asked once, and the address that was judged is the one that is connected to',
  },
  'EGR-3': {
    source: 'issue; field §2.1 (CVE-2026-45401)',
    when: 'a document that is fetched for a caller redirects',
    observed: 'each hop is judged, no credential goes to another origin, none leads from https to http, and there is an end',
  },
  'EGR-4': {
    source: 'issue; field §1.47',
    when: 'the operator lists a host, a suffix or a range in `server.egress.allow`',
    observed: 'it is let through, and nothing beside it; the refusal names the option',
  },
  'EGR-5': {
    source: 'issue',
    when: 'a proxy is configured, or the environment names one',
    observed: 'callers’ URLs go through it only where the operator listed the host',
  },
  'EGR-6': {
    source: 'issue; field §2.3',
    when: 'a caller chooses the host',
    observed: 'it sees none of the operator’s keys, extra headers, client certificates or proxy credentials',
  },
  'EGR-7': {
    source: 'issue',
    when: 'a URL of a caller is refused',
    observed:
      'the caller learns nothing about the internal network: unknown, private, open and closed give the same error; the log has the reason',
  },
  'EGR-8': {
    source: 'issue; field §2.1 (Portkey #1718)',
    when: 'an operator’s host returns a redirect',
    observed: 'it is not followed, and the key goes nowhere else',
  },
  'EGR-9': {
    source: 'issue',
    when: 'a document is fetched for a caller',
    observed: 'size, time and redirects are limited',
  },
  'PRV-6': {
    source: 'behaviour §8 (images)',
    when: 'a chat with images at remote URLs goes to a provider that takes none (Ollama, SambaNova)',
    observed: 'they are fetched past the guard, within limits, and sent as `data:` URLs',
  },
  'HRD-1': {
    source: 'issue',
    when: 'the head of a request is too large, or not what HTTP/1.1 says',
    observed: '431 above some 16 kB or 190 headers, 400 for what proxies could read otherwise; one response, and the connection is closed',
  },
  'HRD-2': {
    source: 'issue',
    when: 'a head comes so slowly that it never ends',
    observed: 'the connection is closed after some ten seconds',
  },
  'HRD-3': {
    source: 'issue; field §2.3',
    when: 'a stream takes longer than `server.max_stream_seconds`',
    observed: 'it ends with an error event, and its upstream is stopped',
  },
  'HRD-4': {
    source: 'issue',
    when: 'more than `server.max_running_requests` run at once',
    observed: '503 with Retry-After; health checks succeed',
  },
  'SEC-1': {
    source: 'issue; field §1.53',
    when: 'secrets of the operator and of callers stand in every place where one can stand, and providers and identity services hand them back',
    observed: 'none is found in any log line, response, page, command’s output, audit line, database, file or command line of a process',
  },
}
