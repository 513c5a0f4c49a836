import { useEffect, useRef } from 'preact/hooks';
import { TEXT } from '../text.ts';

let isFirst = true;

/**
 * Names the document after a place of the page. The heading gets the focus when the place is entered, as it would on a new
 * page, so that keyboard and screen reader begin there; not on the very first one, where the browser does that.
 *
 * @returns for the heading, which needs `tabIndex={-1}`
 */
export function useTitle(title: string) {
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    document.title = TEXT.pageTitle(title);
  }, [title]);
  useEffect(() => {
    if (!isFirst) heading.current?.focus({ preventScroll: true });
    if (!isFirst) scrollTo(0, 0);
    isFirst = false;
  }, []);
  return heading;
}
