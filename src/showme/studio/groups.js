// gradio gives every radio button a name of its own, renewed at each choice, so that arrow keys do not move between them
// and screen readers count groups of one. Under one name the buttons of a fieldset are one group.
() => {
  const group = (set, number) => {
    for (const input of set.querySelectorAll('input[type="radio"]')) {
      if (input.name !== `group-${number}`) input.name = `group-${number}`;
    }
  };
  const arrange = () => document.querySelectorAll("fieldset").forEach(group);
  new MutationObserver(arrange).observe(document.body, {
    childList: true, subtree: true, attributes: true, attributeFilter: ["name"],
  });
  arrange();
}
