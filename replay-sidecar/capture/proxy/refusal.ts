const REASONS = {
  400: 'Bad Request',
  408: 'Request Timeout',
  431: 'Request Header Fields Too Large',
  502: 'Bad Gateway',
  503: 'Service Unavailable',
};

export type RefusalStatus = keyof typeof REASONS;

/** The proxy's own answer, with `reason` as its body, after which the connection is closed. */
export function answerOf(status: RefusalStatus, reason: string): string {
  const body = `${reason}\n`;
  return `HTTP/1.1 ${status} ${REASONS[status]}\r\nContent-Type: text/plain\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`;
}
