"""Regular expressions put together from the pieces of RE2's syntax, and from what only others have."""

from tests.ops.properties.recipes import Recipe, family
from tests.ops.properties.texts import strings, text

ATOMS = (
    "a", "b", "B", "aa", ".", "é", "☃", " ", ",", r"\d", r"\D", r"\w", r"\W", r"\s", r"\S", r"\.", r"\n", r"\t", r"\x61",
    r"\x{e9}",
    r"\141", r"\pL", r"\p{Lu}", r"\PL", r"\p{Greek}", r"\p{^Lu}", "[ab]", "[^ab]", "[a-c]", "[^a]", "[]a]", "[^]a]",
    "[a-]", r"[\d,]", r"[^\w]",
    "[[:alpha:]]", "[[:^alpha:]]", "[^[:space:]]", r"[\pL]", r"[\x00-\x1f]", "[é-ü]", r"[\]\-]", "[.*]", "^", "$", r"\A",
    r"\z", r"\b", r"\B",
    "", r"\Qa.b\E", r"\C", "[[:word:]]", r"\-", r"\_", r"\/",
)  # fmt: skip
GROUPS = (
    "({})",
    "(?:{})",
    "(?P<n>{})",
    "(?i:{})",
    "(?s:{})",
    "(?m:^{}$)",
    "(?i)a{}",
    "(?U:{})",
    "(?-s:{})",
    "{}|{}",
    "({}|{})",
    "(?s)a{}",
)
COUNTS = ("*", "+", "?", "*?", "+?", "??", "{2}", "{1,}", "{0,2}", "{1,2}?", "{,2}", "{", "{0}")
NOT_RE2 = (
    "(?={})", "(?!{})", "(?<=a)", r"(a)\1", "(?>a)", "a*+", "a**", "*", "+a", "(", ")", "[", "]", "a{3,2}", "a{1001}",
    r"\Z", r"\8", r"\h", "[z-a]",
    "(?P=n)", "(?#c)", "(?x)a b", "[[:foo:]]", r"\p{Foo}", r"\pN1", "(?P<n>a)(?P<n>b)", r"\u0061", "[a&&b]", "(?<n>a)",
    "\\", r"[\b]", r"a\Z",
    "|", "()", "(|a)", "x{2}{3}", "(?)", "a|*", "^*", r"\b+", "$^", "(?a)b", "(?L)b", "(?u)b", "[a-\\d]", "}", "{",
    "a{,}", "a{x}",
)  # fmt: skip


def pattern(recipe: Recipe, depth: int = 2) -> str:
    """A regular expression; rarely one that RE2 does not take, or takes otherwise than Python."""
    parts = []
    for _ in range(recipe.integer(1, 3)):
        if depth and recipe.rarely():
            part = recipe.choice(GROUPS).format(pattern(recipe, depth - 1), pattern(recipe, depth - 1))
        else:
            part = recipe.choice(ATOMS)
        parts.append(part + (recipe.choice(COUNTS) if recipe.boolean() and part[-1:] not in ("", "|") else ""))
    found = "".join(parts)
    if depth == 2 and recipe.rarely():
        found += recipe.choice(NOT_RE2)
    return found


REWRITES = (r"\1", r"[\0]", r"\\", "", "x", "é", r"\0\0", r"\2", "$1", r"\n", "\\", r"\x", r"\10")


@family("RegexReplace", "RegexFullMatch", "StaticRegexReplace", "StaticRegexFullMatch")
def regex(recipe: Recipe) -> None:
    recipe.give("input", strings(recipe, recipe.shape(0, 2, sizes=(1, 2, 3, 0))))
    rewrite = recipe.choice(REWRITES) if recipe.boolean() else recipe.choice(REWRITES[:5])
    given = {"pattern": pattern(recipe), "rewrite": rewrite}
    for name, value in given.items():
        if name in recipe.call.attrs:
            recipe.set(**{name: value})
        elif any(arg.name == name for arg in recipe.op_def.inputs):
            recipe.give(name, text(value.encode()))
