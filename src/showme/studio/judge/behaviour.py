"""What the judging page does in the browser itself, as JavaScript."""

from __future__ import annotations

# Runs once and watches what gradio renders. Its radio buttons are groups of one each, with a new name whenever one is
# chosen: under one name they are one group, which arrow keys move in and screen readers call by its question. A new
# pair of videos starts together, unless the system asks for less motion.
WATCH = """() => {
  const group = (set, number) => {
    const words = set.querySelector('[data-testid="block-info"]');
    if (!words) { return; }
    words.id = `question-${number}`;
    set.setAttribute('role', 'radiogroup');
    set.setAttribute('aria-labelledby', words.id);
    for (const input of set.querySelectorAll('input')) {
      if (input.name !== `answer-${number}`) { input.name = `answer-${number}`; }
    }
  };
  const loaded = (video) => new Promise((done) => {
    video.muted = true;
    if (video.readyState > 2) { done(); } else { video.addEventListener('canplay', done, { once: true }); }
  });
  const start = async (pair) => {
    pair.dataset.started = 'yes';
    const videos = [...pair.querySelectorAll('video')];
    await Promise.all(videos.map(loaded));
    if (matchMedia('(prefers-reduced-motion: reduce)').matches) { return; }
    for (const video of videos) { video.play(); }
  };
  const arrange = () => {
    document.querySelectorAll('.questions fieldset').forEach(group);
    document.querySelectorAll('.pair:not([data-started])').forEach(start);
  };
  new MutationObserver(arrange).observe(
    document.body, { childList: true, subtree: true, attributes: true, attributeFilter: ['name'] });
  arrange();
}"""

# After an answer: up to the next pair, which screen readers then read; where something is missing, to what says so.
TO_THE_TOP = """() => {
  const trouble = document.querySelector('.trouble');
  if (trouble) { trouble.scrollIntoView({ block: 'center' }); return; }
  window.scrollTo({ top: 0 });
  document.querySelector('.done h2, .thanks h2')?.focus({ preventScroll: true });
}"""

PLAY = "() => document.querySelectorAll('.pair video').forEach((video) => { video.currentTime = 0; video.play(); })"
PAUSE = "() => document.querySelectorAll('.pair video').forEach((video) => video.pause())"
