//! Words: what names say in English.
//!
//! Inference leans on names only where they are plain: `CreateProduct` and `ProductCreated`, `Product` and
//! `products`. Whatever is not in the tables follows the rules of regular words.

use heck::ToSnakeCase;

/// The words of a name in lower case: `ReserveStock` gives `reserve`, `stock`.
pub fn words(name: &str) -> Vec<String> {
    name.to_snake_case().split('_').filter(|it| !it.is_empty()).map(str::to_owned).collect()
}

/// Whether `word` is the past tense or the past participle of `verb`.
pub fn is_past_of(word: &str, verb: &str) -> bool {
    let past =
        word != verb || matches!(verb, "put" | "set" | "cut" | "split" | "let" | "shut" | "bid" | "quit" | "reset");
    past && past_forms(verb).iter().any(|it| it == word)
}

/// Past tense and past participle of a verb.
fn past_forms(verb: &str) -> Vec<String> {
    for prefix in ["", "re", "un", "over", "under", "out", "mis", "fore"] {
        let Some(stem) = verb.strip_prefix(prefix) else { continue };
        if let Some((_, forms)) = IRREGULAR.iter().find(|(it, _)| *it == stem) {
            return forms.split(' ').map(|form| format!("{prefix}{form}")).collect();
        }
    }
    regular_past(verb)
}

fn regular_past(verb: &str) -> Vec<String> {
    let letters: Vec<char> = verb.chars().collect();
    match letters.as_slice() {
        [.., 'e'] => vec![format!("{verb}d")],
        [.., before, 'y'] if !is_vowel(*before) => vec![format!("{}ied", &verb[..verb.len() - 1])],
        [.., 'c'] => vec![format!("{verb}ked"), format!("{verb}ed")],
        [.., a, b, c] if doubles(*a, *b, *c) => vec![format!("{verb}ed"), format!("{verb}{c}ed")],
        _ => vec![format!("{verb}ed")],
    }
}

/// Consonant, vowel, consonant: `ship` doubles its last letter, `open` doesn't, `cancel` may; both are accepted.
fn doubles(a: char, b: char, c: char) -> bool {
    !is_vowel(a) && is_vowel(b) && !is_vowel(c) && !matches!(c, 'w' | 'x' | 'y')
}

fn is_vowel(letter: char) -> bool {
    matches!(letter, 'a' | 'e' | 'i' | 'o' | 'u')
}

/// Verbs that mean the same to an event: the first found tier of a command that has no event of its own verb.
pub fn synonyms(verb: &str) -> &'static [&'static str] {
    const GROUPS: &[&[&str]] =
        &[&["create", "add", "register"], &["update", "change", "edit", "modify"], &["delete", "remove"]];
    GROUPS.iter().find(|group| group.contains(&verb)).copied().unwrap_or_default()
}

/// The singular of a word: `products` gives `product`.
pub fn singular(word: &str) -> String {
    if let Some((one, _)) = IRREGULAR_PLURALS.iter().find(|(_, many)| *many == word) {
        return (*one).to_owned();
    }
    let stem = |end: &str| word.strip_suffix(end).filter(|it| it.len() > 1);
    if let Some(stem) = stem("ies") {
        return format!("{stem}y");
    }
    for end in ["sses", "shes", "ches", "xes", "zes"] {
        if word.ends_with(end) {
            return word[..word.len() - 2].to_owned();
        }
    }
    match stem("s") {
        Some(stem) if !word.ends_with("ss") && !word.ends_with("us") && !word.ends_with("is") => stem.to_owned(),
        _ => word.to_owned(),
    }
}

/// The plural of a word: `category` gives `categories`.
pub fn plural(word: &str) -> String {
    if let Some((_, many)) = IRREGULAR_PLURALS.iter().find(|(one, _)| *one == word) {
        return (*many).to_owned();
    }
    let letters: Vec<char> = word.chars().collect();
    match letters.as_slice() {
        [.., before, 'y'] if !is_vowel(*before) => format!("{}ies", &word[..word.len() - 1]),
        [.., 's' | 'x' | 'z'] | [.., 's' | 'c', 'h'] => format!("{word}es"),
        _ => format!("{word}s"),
    }
}

/// One, many.
const IRREGULAR_PLURALS: &[(&str, &str)] = &[
    ("analysis", "analyses"),
    ("child", "children"),
    ("criterion", "criteria"),
    ("data", "data"),
    ("datum", "data"),
    ("equipment", "equipment"),
    ("foot", "feet"),
    ("half", "halves"),
    ("hero", "heroes"),
    ("index", "indexes"),
    ("information", "information"),
    ("leaf", "leaves"),
    ("life", "lives"),
    ("man", "men"),
    ("matrix", "matrices"),
    ("media", "media"),
    ("mouse", "mice"),
    ("news", "news"),
    ("person", "people"),
    ("potato", "potatoes"),
    ("series", "series"),
    ("shelf", "shelves"),
    ("staff", "staff"),
    ("status", "statuses"),
    ("stock", "stock"),
    ("tooth", "teeth"),
    ("woman", "women"),
];

/// Verbs whose past is not made with -ed: past tense, and participle where it differs.
const IRREGULAR: &[(&str, &str)] = &[
    ("become", "became become"),
    ("begin", "began begun"),
    ("bid", "bid"),
    ("bind", "bound"),
    ("break", "broke broken"),
    ("bring", "brought"),
    ("build", "built"),
    ("buy", "bought"),
    ("cast", "cast"),
    ("catch", "caught"),
    ("choose", "chose chosen"),
    ("come", "came come"),
    ("cut", "cut"),
    ("deal", "dealt"),
    ("do", "did done"),
    ("draw", "drew drawn"),
    ("drive", "drove driven"),
    ("fall", "fell fallen"),
    ("feed", "fed"),
    ("find", "found"),
    ("fly", "flew flown"),
    ("forget", "forgot forgotten"),
    ("freeze", "froze frozen"),
    ("get", "got gotten"),
    ("give", "gave given"),
    ("go", "went gone"),
    ("grow", "grew grown"),
    ("have", "had"),
    ("hear", "heard"),
    ("hide", "hid hidden"),
    ("hit", "hit"),
    ("hold", "held"),
    ("keep", "kept"),
    ("know", "knew known"),
    ("lay", "laid"),
    ("lead", "led"),
    ("learn", "learned learnt"),
    ("leave", "left"),
    ("lend", "lent"),
    ("let", "let"),
    ("light", "lit lighted"),
    ("lose", "lost"),
    ("make", "made"),
    ("meet", "met"),
    ("pay", "paid"),
    ("put", "put"),
    ("quit", "quit"),
    ("read", "read"),
    ("reset", "reset"),
    ("ride", "rode ridden"),
    ("run", "ran run"),
    ("say", "said"),
    ("see", "saw seen"),
    ("seek", "sought"),
    ("sell", "sold"),
    ("send", "sent"),
    ("set", "set"),
    ("show", "showed shown"),
    ("shut", "shut"),
    ("sit", "sat"),
    ("speak", "spoke spoken"),
    ("spend", "spent"),
    ("split", "split"),
    ("stand", "stood"),
    ("steal", "stole stolen"),
    ("stick", "stuck"),
    ("strike", "struck"),
    ("take", "took taken"),
    ("teach", "taught"),
    ("tell", "told"),
    ("think", "thought"),
    ("throw", "threw thrown"),
    ("understand", "understood"),
    ("wake", "woke woken"),
    ("wear", "wore worn"),
    ("win", "won"),
    ("withdraw", "withdrew withdrawn"),
    ("withhold", "withheld"),
    ("write", "wrote written"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_the_past_of_verbs() {
        for (verb, past) in [
            ("create", "created"),
            ("ship", "shipped"),
            ("cancel", "canceled"),
            ("cancel", "cancelled"),
            ("apply", "applied"),
            ("deploy", "deployed"),
            ("pay", "paid"),
            ("send", "sent"),
            ("resend", "resent"),
            ("rebuild", "rebuilt"),
            ("undo", "undone"),
            ("unfreeze", "unfrozen"),
            ("withdraw", "withdrawn"),
            ("overdraw", "overdrawn"),
            ("put", "put"),
            ("submit", "submitted"),
            ("open", "opened"),
            ("fix", "fixed"),
            ("publish", "published"),
        ] {
            assert!(is_past_of(past, verb), "{verb} → {past}");
        }
        assert!(!is_past_of("create", "create"));
        assert!(!is_past_of("stock", "reserve"));
    }

    #[test]
    fn makes_plurals_and_takes_them_back() {
        for (one, many) in [
            ("product", "products"),
            ("category", "categories"),
            ("box", "boxes"),
            ("address", "addresses"),
            ("branch", "branches"),
            ("person", "people"),
            ("day", "days"),
            ("status", "statuses"),
        ] {
            assert_eq!((plural(one).as_str(), singular(many).as_str()), (many, one));
        }
        assert_eq!(singular("bus"), "bus");
    }
}
